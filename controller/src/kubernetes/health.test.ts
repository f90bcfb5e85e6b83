import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scaledClock, systemClock } from '../domain/clock.ts';
import { createHealth } from './health.ts';
import { retryDelay } from './podwatch.ts';
import { until } from './testcluster.ts';

function keeper(staleAfterMs: number, clock = systemClock) {
  const states: [state: string, why: string | undefined][] = [];
  const health = createHealth({ clock, staleAfterMs, onState: (state, why) => states.push([state, why]) });
  return { health, states };
}

test('silence makes a healthy member unhealthy, a complete list makes it healthy again', async () => {
  const { health, states } = keeper(40);
  health.synced();
  const since = health.current().syncedAt;
  await until('unhealthy', () => health.current().state === 'unhealthy');
  assert.is(health.current().syncedAt, since, 'when it was last seen stays known');
  health.synced();
  health.stop();
  assert.equal(states, [
    ['healthy', undefined],
    ['unhealthy', 'no complete list for 0.04 s'],
    ['healthy', undefined],
  ]);
});

test('one failure is forgiven when a list follows, lasting failures are not', async () => {
  const { health, states } = keeper(60_000, scaledClock(100, Date.now()));
  health.synced();
  health.failed('refused');
  health.synced();
  await systemClock.sleep(400);
  assert.is(health.current().state, 'healthy');
  health.failed('refused');
  health.failed('still refused');
  await until('unhealthy', () => health.current().state === 'unhealthy');
  health.stop();
  assert.equal(states.at(-1), ['unhealthy', 'still refused']);
});

test('a node that is cordoned or not ready closes the member, in words, until it is open again', () => {
  const { health, states } = keeper(60_000);
  health.synced();
  const told = [
    { ready: true },
    { ready: true, cordoned: true },
    { ready: false, cordoned: false },
    { ready: true, cordoned: false },
  ].map((node) => {
    health.saw(node);
    return health.current().closed;
  });
  health.stop();
  assert.equal(told, [undefined, 'its node is cordoned', 'its node is not ready', undefined]);
  assert.equal(states, [['healthy', undefined]], 'its word is as good as ever');
});

test('D17 a member that was never seen whole stays unknown', async () => {
  const { health, states } = keeper(60_000, scaledClock(1000, Date.now()));
  health.failed('refused');
  await systemClock.sleep(400);
  health.stop();
  assert.equal([health.current().state, health.current().syncedAt, states], ['unknown', undefined, []]);
});

test('retries wait longer and longer, never above 10 s, and never all at the same time', () => {
  assert.equal(
    [0, 1, 2, 3, 5, 6, 50].map((failures) => retryDelay(failures, () => 0)),
    [0, 500, 1000, 2000, 8000, 10_000, 10_000],
  );
  assert.is(
    retryDelay(50, () => 1),
    5_000,
  );
});

test.run();
