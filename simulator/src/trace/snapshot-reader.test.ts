import { MinerError } from '@miner/controller/domain/errors.ts';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createReplay } from './replay.ts';
import { createSnapshotReader } from './snapshot-reader.ts';
import { chute, makeTrace, server } from './testing.ts';

function line(change: (snapshot: ReturnType<typeof JSON.parse>) => void = () => {}): Buffer {
  const run = createReplay(makeTrace({ servers: [server('s'), server('t')], chutes: [chute('c')], duration: 3600 }));
  const snapshot = structuredClone(run.next());
  change(snapshot);
  return Buffer.from(JSON.stringify(snapshot));
}

test('what did not change is the same object as in the line before, what changed is not', () => {
  const read = createSnapshotReader();
  const first = read(line());
  const second = read(
    line((snapshot) => {
      snapshot.servers[1].cached_models = ['m'];
    }),
  );
  assert.is(second.servers[0], first.servers[0]);
  assert.is(second.chutes[0], first.chutes[0]);
  assert.is.not(second.servers[1], first.servers[1]);
  assert.equal(second.servers[1]?.cached_models, ['m']);
});

test('a line that is no snapshot is refused in one sentence', () => {
  const read = createSnapshotReader();
  for (const [text, message] of [
    ['{', /not JSON/],
    ['{"format":1 "servers":[]}', /not JSON: expected , at byte 12/],
    ['{"format":1,"servers":[],"chutes":[]} {}', /not JSON: something follows/],
    ['{"format":1,"servers":[{},],"chutes":[]}', /not JSON/],
    ['{"format":1,"servers":[{}', /not JSON/],
    ['{"format":1,"servers":[{"name":"s}', /not JSON/],
    ['[]', /not a snapshot of format 1/],
    ['null', /not a snapshot of format 1/],
    ['{"format":2,"servers":[],"chutes":[]}', /not a snapshot of format 1/],
  ] as const) {
    assert.throws(
      () => read(Buffer.from(text)),
      (error: unknown) => error instanceof MinerError && error.code === 'E-USAGE' && message.test(error.message),
    );
  }
});

const text = fc.string({ unit: fc.constantFrom('a', '"', '\\\\', '{', ']', ',', ' ', '\u00e9', '\u{1f600}', '\n') });
const item = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), text, more: fc.jsonValue({ maxDepth: 2 }) });
const list = fc.uniqueArray(item, { selector: ({ name }) => name, maxLength: 4 });

test('lines are read as JSON.parse reads them, however they are spaced and whatever came before', () => {
  const lines = fc.array(
    fc.record({ servers: list, chutes: list, rest: fc.jsonValue(), space: fc.constantFrom(0, 1) }),
  );
  fc.assert(
    fc.property(lines, (all) => {
      const read = createSnapshotReader();
      for (const { servers, chutes, rest, space } of all) {
        const named = chutes.map(({ name, ...fields }) => ({ chute_id: name, ...fields }));
        const line = JSON.stringify({ rest, servers, format: 1, chutes: named }, null, space).replaceAll('\n', '\r');
        assert.equal(read(Buffer.from(line)), JSON.parse(line));
      }
    }),
  );
});

test.run();
