import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createNonceCache } from './nonce-cache.ts';

const lifetime = 60_000;

test('a signature is remembered for a whole lifetime, whenever it was added', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 2 * lifetime }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(steps, (waits) => {
      const clock = { ms: 0, now: () => clock.ms };
      const cache = createNonceCache(clock, lifetime);
      const added: { signature: string; at: number }[] = [];
      for (const [i, wait] of waits.entries()) {
        clock.ms += wait;
        cache.add(String(i));
        added.push({ signature: String(i), at: clock.ms });
        for (const { signature, at } of added) {
          if (clock.ms - at < lifetime) assert.ok(cache.has(signature), `${signature} after ${clock.ms - at} ms`);
          if (clock.ms - at >= 4 * lifetime) assert.not(cache.has(signature));
        }
      }
    }),
  );
});

test('memory is given back while nothing but new signatures arrive', () => {
  const clock = { ms: 0, now: () => clock.ms };
  const cache = createNonceCache(clock, lifetime);
  for (let i = 0; i < 6000; i++) {
    clock.ms += 100;
    cache.add(String(i));
  }
  assert.ok(cache.size() <= 1200, `${cache.size()} remembered`);
});

test.run();
