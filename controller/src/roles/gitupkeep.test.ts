import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startGitUpkeep } from './gitupkeep.ts';

const hour = 3_600_000;

function scene(change: { squashAgeMs?: number | undefined; mayWrite?: () => boolean; fails?: boolean } = {}) {
  let now = 0;
  let next: { at: number; wake: () => void } | undefined;
  const done: string[] = [];
  const upkeep = startGitUpkeep({
    squashAgeMs: 30 * 24 * hour,
    tidyEveryMs: 10 * hour,
    mayWrite: () => true,
    ...change,
    log: pino({ level: 'silent' }),
    clock: {
      now: () => now,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          next = { at: now + ms, wake: resolve };
          signal?.addEventListener('abort', () => resolve());
        }),
    },
    repo: {
      async squash({ olderThanMs }) {
        done.push(`${now / hour} squash ${olderThanMs / hour / 24}`);
        if (change.fails) throw new Error('force push is not allowed');
        return undefined;
      },
      async tidy() {
        done.push(`${now / hour} tidy`);
        return true;
      },
    },
  });
  return {
    done,
    upkeep,
    async until(end: number) {
      while (next && next.at <= end * hour) {
        now = next.at;
        next.wake();
        for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

test('history is shortened once a day, from an hour after the start, and the store is looked at every few hours', async () => {
  const at = scene();
  await at.until(50);
  assert.equal(at.done, [
    '1 squash 30',
    '10 tidy',
    '20 tidy',
    '25 squash 30',
    '30 tidy',
    '40 tidy',
    '49 squash 30',
    '50 tidy',
  ]);
  await at.upkeep.stop();
});

for (const [why, change] of [
  ['history is to be kept', { squashAgeMs: undefined }],
  ['another process decides', { mayWrite: () => false }],
] as const) {
  test(`while ${why}, nothing is shortened`, async () => {
    const at = scene(change);
    await at.until(20);
    assert.equal(at.done, ['10 tidy', '20 tidy']);
    await at.upkeep.stop();
  });
}

test('a host that refuses it is asked again the next day', async () => {
  const at = scene({ fails: true });
  await at.until(30);
  assert.equal(
    at.done.filter((line) => line.includes('squash')),
    ['1 squash 30', '25 squash 30'],
  );
  await at.upkeep.stop();
});

test.run();
