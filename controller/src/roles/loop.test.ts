import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startLoop } from './loop.ts';

test('after failures the next pass waits longer and longer, whatever wakes it: each one asks for launch tokens', async () => {
  const waits: number[] = [];
  const done = Promise.withResolvers<void>();
  const loop = startLoop({
    clock: {
      now: () => 0,
      async sleep(ms) {
        waits.push(ms);
        if (waits.length === 8) done.resolve();
      },
    },
    intervalMs: 16_000,
    settleMs: 0,
    async pass() {
      loop.wake();
      throw new Error('disk full');
    },
    onError: () => undefined,
  });
  await done.promise;
  await loop.stop();
  assert.equal(waits.slice(0, 8), [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

test.run();
