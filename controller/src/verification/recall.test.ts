import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProvenGpu } from '../domain/ports.ts';
import { type Context, label, useScene } from './testing/context.ts';
import { device } from './testing/ports.ts';

const test = suite<Context>('recall');
useScene(test);

const seed = 9223372036854775807n;

function proven(count = 2, gpuShortRef = 'h100_sxm'): ProvenGpu[] {
  return Array.from({ length: count }, (_, n) => {
    const deviceInfo = device(n + 1);
    return { deviceInfo, gpuShortRef, verificationPort: 31_234, seed };
  });
}

test('a server whose GPUs the validator has verified is taken in as it was, and nothing on it is disturbed', async (context) => {
  const { scene, add, messages } = context;
  scene.proven = proven();
  assert.is(await add(), 'added');
  assert.equal(scene.done, [
    'members.add gpu-0',
    'labelNode gpu-short-ref,chutes/validator,chutes/worker',
    'addServer 2 false',
    'updateServer seed',
    'markGpusVerified 2',
    'writeServer gpu-0',
  ]);
  const server = scene.servers.get('gpu-0');
  assert.equal([server?.serverId, server?.seed, server?.verificationPort], ['node-uid', seed, 31_234]);
  assert.ok(server?.gpus.every(({ verified, model }) => verified && model === 'h100_sxm'));
  assert.ok(messages.includes('the validator has verified these GPUs already'));
});

const others: [what: string, known: ProvenGpu[]][] = [
  ['knows no GPU of it', []],
  ['knows one GPU fewer', proven(1)],
  ['knows one GPU more', proven(3)],
  ['knows another model', proven(2, 'l4')],
];
for (const [what, known] of others) {
  test(`a server is verified from the start when the validator ${what}`, async ({ scene, add }) => {
    scene.proven = known;
    assert.is(await add(), 'added');
    assert.ok(scene.done.includes('advertiseNodes 2'), scene.done.join('; '));
  });
}

test('a TEE server is attested anew: its VM may be another one', async (context) => {
  label(context, { 'chutes/tee': 'true' });
  context.scene.proven = proven();
  await context.add();
  assert.not.ok(context.messages.includes('the validator has verified these GPUs already'));
});

test('what the validator has is left alone when taking the server in fails', async ({ scene, add }) => {
  scene.proven = proven();
  scene.failing.set('writeServer', new Error('the disk is full'));
  assert.match(await add(), /the disk is full/);
  assert.is(scene.servers.size, 0);
  assert.equal(scene.done.slice(-2), ['deleteServer gpu-0', 'members.remove gpu-0']);
  assert.not.ok(scene.done.some((call) => call.startsWith('forgetServer')));
});

test('one of its GPUs belongs to another server by now: nothing is taken in', async ({ scene, add }) => {
  scene.proven = proven();
  assert.is(await add(), 'added');
  const [first] = scene.servers.values();
  assert.ok(first);
  scene.servers.clear();
  scene.servers.set('gpu-9', { ...first, name: 'gpu-9', serverId: 'another-uid' });
  assert.match(await add(), /^E-ALREADY-ADDED a GPU of node gpu-0 already belongs to server gpu-9/);
});

test.run();
