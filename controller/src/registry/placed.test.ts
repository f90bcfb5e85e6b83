import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPlacedPods } from './placed.ts';

const a = '5validatora';
const b = '5validatorb';

interface Shape {
  images?: string[];
  init?: string[];
  phase?: string;
}

function pod(name: string, { images = [], init, phase = 'Pending' }: Shape): object {
  return {
    metadata: { name },
    spec: { containers: images.map((image) => ({ image })), initContainers: init?.map((image) => ({ image })) },
    status: { phase },
  };
}

const image = (validator: string, repository: string) => `${validator}.localregistry.chutes.ai:30500/${repository}:1`;

test('a repository is allowed for the validator whose chute uses it, and for no other', () => {
  const placed = createPlacedPods();
  placed.put(pod('p', { images: [image(a, 'alice/llama')] }));
  assert.ok(placed.allows(a, 'alice/llama'));
  assert.not(placed.allows(b, 'alice/llama'));
  assert.not(placed.allows(a, 'alice/llama-2'));
  assert.is(placed.size(), 1);
});

test('init containers pull too', () => {
  const placed = createPlacedPods();
  placed.put(pod('p', { images: ['alpine'], init: [image(a, 'alice/cache')] }));
  assert.ok(placed.allows(a, 'alice/cache'));
});

for (const [phase, allowed] of [
  ['Pending', true],
  ['Running', true],
  ['Unknown', true],
  ['Succeeded', false],
  ['Failed', false],
] as const) {
  test(`a pod that is ${phase} ${allowed ? 'may' : 'may not'} pull`, () => {
    const placed = createPlacedPods();
    placed.put(pod('p', { images: [image(a, 'alice/llama')] }));
    placed.put(pod('p', { images: [image(a, 'alice/llama')], phase }));
    assert.is(placed.allows(a, 'alice/llama'), allowed);
  });
}

test('an image stays allowed until its last pod is gone', () => {
  const placed = createPlacedPods();
  const [first, second] = ['p', 'q'].map((name) => pod(name, { images: [image(a, 'alice/llama')] }));
  placed.put(first);
  placed.put(second);
  placed.remove(first);
  assert.ok(placed.allows(a, 'alice/llama'));
  placed.remove(second);
  assert.not(placed.allows(a, 'alice/llama'));
});

test('a complete list takes away what it does not name', () => {
  const placed = createPlacedPods();
  placed.put(pod('p', { images: [image(a, 'alice/old')] }));
  placed.replace([pod('q', { images: [image(b, 'bob/new')] })]);
  assert.not(placed.allows(a, 'alice/old'));
  assert.ok(placed.allows(b, 'bob/new'));
});

test('objects that are no pods allow nothing and break nothing', () => {
  const placed = createPlacedPods();
  for (const odd of [undefined, null, 1, {}, { metadata: { name: '' } }, { metadata: { name: 'p' } }]) placed.put(odd);
  placed.replace([{ metadata: { name: 'p' }, spec: { containers: [{}] } }, null]);
  placed.remove(undefined);
  assert.is(placed.size(), 0);
});

test('listeners hear of changes of the list only, and of none once they left', () => {
  const placed = createPlacedPods();
  let heard = 0;
  const stop = placed.onChange(() => {
    heard += 1;
  });
  const one = pod('p', { images: [image(a, 'alice/llama')] });
  placed.put(one);
  placed.put(one);
  placed.replace([one]);
  assert.is(heard, 1);
  stop();
  placed.remove(one);
  assert.is(heard, 1);
});

test.run();
