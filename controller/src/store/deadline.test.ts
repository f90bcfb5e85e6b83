import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rejection } from './contract/world.ts';
import { type CallLimit, within } from './deadline.ts';

const never = () => new Promise<never>(() => undefined);

function limitOf(ms: number): CallLimit & { dropped: number[] } {
  let started = 0;
  const dropped: number[] = [];
  return {
    ms,
    dropped,
    start: () => {
      const number = ++started;
      return () => dropped.push(number);
    },
  };
}

test('a call without an answer ends as an error of the store, and its own connections are dropped', async () => {
  const limit = limitOf(20);
  const first = within({ ...limit, ms: 60_000 }, async () => 'kept');
  const error = await rejection(within(limit, never));
  assert.is(error.code, 'E-STORE');
  assert.match(error.message, 'did not answer within 0.02 s');
  assert.equal(limit.dropped, [2]);
  assert.is(await first, 'kept');
});

test('a call that ends in time gives its result or its own error and drops nothing', async () => {
  const limit = limitOf(60_000);
  assert.is(await within(limit, async () => 7), 7);
  const own = new Error('own');
  assert.is(await within(limit, () => Promise.reject(own)).catch((error) => error), own);
  assert.equal(limit.dropped, []);
});

test('without a limit a call is only made', async () => {
  assert.is(await within(undefined, async () => 7), 7);
});

test.run();
