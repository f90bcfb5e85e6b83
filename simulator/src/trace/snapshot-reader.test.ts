import { MinerError } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createReplay } from './replay.ts';
import { createSnapshotReader } from './snapshot-reader.ts';
import { chute, makeTrace, server } from './testing.ts';

function line(change: (snapshot: ReturnType<typeof JSON.parse>) => void = () => {}): string {
  const run = createReplay(makeTrace({ servers: [server('s'), server('t')], chutes: [chute('c')], duration: 3600 }));
  const snapshot = structuredClone(run.next());
  change(snapshot);
  return JSON.stringify(snapshot);
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
    ['[]', /not a snapshot of format 1/],
    ['null', /not a snapshot of format 1/],
    ['{"format":2,"servers":[],"chutes":[]}', /not a snapshot of format 1/],
  ] as const) {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof MinerError && error.code === 'E-USAGE' && message.test(error.message),
    );
  }
});

test.run();
