import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { JournalEntry } from '../domain/ports.ts';
import { eventOf, idOf } from './contract.ts';
import { createSubscription, type SubscriptionOptions } from './subscription.ts';

function setup(change: Partial<SubscriptionOptions>) {
  const pauses: number[] = [];
  const lines: string[] = [];
  const state = { givenUp: 0 };
  const clock = {
    now: () => 0,
    async sleep(ms: number, signal?: AbortSignal) {
      pauses.push(ms);
      if (ms >= 400) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    },
  };
  const subscription = createSubscription({
    handler: async () => undefined,
    maxAttempts: 3,
    pauses: { firstMs: 10, longestMs: 400 },
    outage: async () => false,
    onGivenUp: () => {
      state.givenUp += 1;
    },
    remember: 100,
    clock,
    random: () => 1,
    log: pino({ level: 'warn' }, { write: (line: string) => lines.push(line) }),
    ...change,
  });
  return { subscription, pauses, lines, state };
}

const entry = (id: string): JournalEntry => ({ id, receivedAt: 0, event: eventOf(id) });
const broken = () => Promise.reject(new Error('broken'));

test('an event that fails too often is given up, counted and reported with its id and type, and is done', async () => {
  const { subscription, pauses, lines, state } = setup({ handler: broken });
  assert.is(await subscription.deliver(entry('a')), true);
  assert.equal([pauses, state.givenUp], [[10, 20], 1]);
  const said = JSON.parse(lines.at(-1) ?? '');
  assert.equal([said.msg, said.id, said.type, said.reason], ['event given up', 'a', 'server_deleted', 'broken']);
  assert.is(await subscription.deliver(entry('a')), true, 'and does not come again');
  assert.is(state.givenUp, 1);
});

test('attempts during an outage do not count', async () => {
  const outages = [true, true, true, false, true, false];
  let attempts = 0;
  const { subscription, state } = setup({
    handler: async () => {
      attempts += 1;
      if (attempts <= 6) throw new Error('store is away');
    },
    outage: async () => outages.shift() ?? false,
    pauses: { firstMs: 1, longestMs: 100 },
  });
  assert.is(await subscription.deliver(entry('a')), true);
  assert.equal([attempts, state.givenUp], [7, 0]);
});

test('an event that was handled is done when it is delivered again', async () => {
  const seen: string[] = [];
  const { subscription } = setup({
    handler: async (event) => {
      seen.push(idOf(event));
    },
  });
  const done = ['a', 'b', 'a'].map((id) => subscription.deliver(entry(id)));
  assert.equal(await Promise.all(done), [true, true, true]);
  assert.equal(seen, ['a', 'b']);
});

test('stopping ends a pause and leaves what is not handled undone', async () => {
  const { subscription, pauses, state } = setup({ handler: broken, pauses: { firstMs: 400, longestMs: 400 } });
  const done = ['a', 'b'].map((id) => subscription.deliver(entry(id)));
  while (pauses.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await subscription.stop();
  assert.equal(await Promise.all(done), [false, false]);
  assert.is(state.givenUp, 0);
});

test.run();
