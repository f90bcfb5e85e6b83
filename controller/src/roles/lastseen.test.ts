import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as f from '../gepetto/fixtures.ts';
import type { Snapshot } from '../gepetto/pass.ts';
import { createLastSeen } from './lastseen.ts';

function snapshot(configCommit: string): Snapshot {
  const world = f.world({});
  return { world, policy: f.policy(), configCommit, live: { commit: 'l', deployments: world.desired } };
}

test('the last snapshot is shown with the reason while there is no new one, and the next new one without', async () => {
  const looks: (() => Snapshot)[] = [
    () => snapshot('first'),
    () => {
      throw new Error('branch live was emptied');
    },
    () => snapshot('third'),
  ];
  const see = createLastSeen(async () => (looks.shift() as () => Snapshot)());
  const told = [await see(), await see(), await see()].map((one) => [one.snapshot.configCommit, one.problem]);
  assert.equal(told, [
    ['first', undefined],
    ['first', 'branch live was emptied'],
    ['third', undefined],
  ]);
});

test('without any snapshot the reason is the answer', async () => {
  const see = createLastSeen(() => Promise.reject(new Error('no database')));
  const message = await see().catch((error: Error) => error.message);
  assert.is(message, 'no database');
});

test.run();
