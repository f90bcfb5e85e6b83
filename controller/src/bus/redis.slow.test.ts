// The bus over a real Redis, with a journal in memory that can be away.

import { Redis } from 'ioredis';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startRedis, type TestRedis, type TestRedisOptions } from '../../test/redis.ts';
import type { Clock } from '../domain/clock.ts';
import { scaledClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import { busContract, eventOf, idOf, until } from './contract.ts';
import { createRedisBus, type RedisBus, type RedisBusOptions } from './redis.ts';
import { channel, streamKey } from './stream.ts';
import { type MemoryJournal, memoryJournal } from './testing/journal.ts';

const password = 'hunter2';
let forContract: TestRedis | undefined;

busContract(
  'event bus over Redis',
  async ({ log, maxAttempts }) => {
    forContract ??= await startRedis();
    const admin = new Redis(forContract.url);
    await admin.flushall();
    admin.disconnect();
    const parts = { url: forContract.url, consumer: 'c', journal: memoryJournal(), log, maxAttempts };
    const bus = createRedisBus({ ...parts, retryDelayMs: 2 });
    return {
      bus,
      async close() {
        await bus.close();
      },
    };
  },
  5,
);

interface Context {
  redis: TestRedis;
  journal: MemoryJournal;
  lines: string[];
  closers: (() => Promise<unknown>)[];
  open(change?: Partial<RedisBusOptions>): RedisBus;
  /** A second eye on the server. */
  look(): Redis;
}

const test = suite<Context>('redis bus');

async function setup(context: Context, options?: TestRedisOptions): Promise<void> {
  const redis = await startRedis(options);
  const url = redis.url.replace('//', options?.password ? `//:${options.password}@` : '//');
  context.redis = redis;
  context.journal = memoryJournal();
  context.lines = [];
  context.closers = [() => redis.stop()];
  const log = pino({ level: 'info' }, { write: (line: string) => context.lines.push(line) });
  // A hundred times as fast, so that the pauses of minutes are tried too.
  const clock = scaledClock(100, Date.now());
  context.open = (change = {}) => {
    const bus = createRedisBus({ url, consumer: 'gepetto-0', journal: context.journal, log, clock, ...change });
    context.closers.push(() => bus.close());
    return bus;
  };
  context.look = () => {
    const look = new Redis(url, { enableOfflineQueue: true });
    look.on('error', () => undefined);
    context.closers.push(async () => look.disconnect());
    return look;
  };
}

test.before.each((context) => setup(context));
test.after.each(async ({ closers }) => {
  for (const close of closers.reverse()) await close();
});

function collect(bus: RedisBus): { seen: string[]; stop: () => Promise<void> } {
  const seen: string[] = [];
  const stop = bus.subscribe(async (event) => {
    seen.push(idOf(event));
  });
  return { seen, stop };
}

async function bothUp(bus: RedisBus): Promise<void> {
  await until(() => bus.health().redis.state === 'up' && bus.health().journal.state === 'up', 'both up');
}

function open(journal: MemoryJournal): number {
  return [...journal.rows.values()].filter(({ handledAt }) => handledAt === undefined).length;
}

/** Undefined while there is no group. */
async function pending(look: Redis): Promise<number | undefined> {
  try {
    const [count] = (await look.xpending(streamKey, 'gepetto')) as [number];
    return count;
  } catch {
    return undefined;
  }
}

async function settled(journal: MemoryJournal, look: Redis): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (open(journal) === 0 && (await pending(look)) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${open(journal)} open in the journal, ${await pending(look)} pending in the stream`);
}

test('each event is told once on the channel miner_events, as event_type and event_data with its validator', async ({
  open,
  look,
}) => {
  const listener = look();
  const heard: string[] = [];
  await listener.subscribe(channel);
  listener.on('message', (_, message) => heard.push(message));
  const bus = open();
  await bothUp(bus);
  const bounty: MinerEvent = { type: 'bounty_change', validator: 'v', data: { chute_id: 'c', bounty: 5 } };
  await bus.publish(bounty);
  await bus.publish(eventOf('s'));
  await until(() => heard.length >= 2, 'both');
  assert.equal(
    heard.map((one) => JSON.parse(one)),
    [
      { event_type: 'bounty_change', event_data: { chute_id: 'c', bounty: 5, validator: 'v' } },
      { event_type: 'server_deleted', event_data: { server_id: 's' } },
    ],
  );
});

test('what came in before anybody listened is kept, and acknowledged and marked once it is handled', async (context) => {
  const { open, look, journal } = context;
  const publisher = open({ consumer: 'controller' });
  await bothUp(publisher);
  for (const n of [1, 2, 3]) await publisher.publish(eventOf(n));
  await publisher.close();
  assert.is(journal.rows.size, 3);
  const { seen, stop } = collect(open());
  await until(() => seen.length === 3, 'all');
  await settled(journal, look());
  await stop();
  assert.equal(seen, ['1', '2', '3']);
});

test('while the journal is away Redis alone carries the events; then the journal learns of them too', async ({
  open,
  look,
  journal,
}) => {
  journal.state = 'away';
  const bus = open();
  await until(() => bus.health().redis.state === 'up', 'Redis');
  const { seen } = collect(bus);
  for (let n = 0; n < 20; n++) await bus.publish(eventOf(n));
  await until(() => seen.length === 20, 'handled');
  const { state, reason, since } = bus.health().journal;
  assert.equal([state, reason, since > 0], ['away', 'journal is away', true]);
  journal.state = 'up';
  await until(() => bus.health().journal.state === 'up' && journal.rows.size === 20, 'in the journal');
  await settled(journal, look());
  assert.is(seen.length, 20);
});

test('while Redis is away the journal alone carries the events', async ({ open, look, journal, redis }) => {
  await redis.kill();
  const bus = open();
  const { seen } = collect(bus);
  for (let n = 0; n < 20; n++) await bus.publish(eventOf(n));
  await until(() => seen.length === 20, 'handled');
  const { redis: part } = bus.health();
  assert.is(part.state, 'away');
  assert.match(part.reason ?? '', 'ECONNREFUSED');
  await redis.start('empty');
  await until(() => bus.health().redis.state === 'up' && bus.health().waiting.redis === 0, 'Redis has them too');
  await settled(journal, look());
  assert.equal(
    seen,
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
});

test('a journal that is silent holds nothing up for longer than its time', async ({ open, journal }) => {
  journal.state = 'silent';
  const bus = open({ timeoutMs: 100 });
  const { seen } = collect(bus);
  await bus.publish(eventOf(1));
  await until(() => seen.length === 1, 'handled');
  assert.match(bus.health().journal.reason ?? '', 'more than 100 ms');
});

test('with both away events wait in memory up to a limit, and more are refused and counted', async (context) => {
  const { open, journal, redis, lines } = context;
  await redis.kill();
  journal.state = 'away';
  const bus = open({ outboxLimit: 10 });
  const { seen } = collect(bus);
  await until(() => bus.health().redis.reason?.includes('ECONNREFUSED') === true, 'known to be away');
  const outcomes = Array.from({ length: 12 }, (_, n) =>
    bus.publish(eventOf(n)).then(
      () => 'kept',
      (error: unknown) => (error instanceof MinerError ? error.code : 'other'),
    ),
  );
  const refused = await Promise.all(outcomes.slice(10));
  assert.equal(refused, ['E-EVENTS', 'E-EVENTS']);
  assert.equal(bus.health().waiting, { redis: 10, journal: 10 });
  assert.is(bus.health().counts.lost, 2);
  assert.match(lines.join(''), 'no room for more');
  assert.is(seen.length, 0);
  journal.state = 'up';
  assert.equal(await Promise.all(outcomes.slice(0, 10)), Array(10).fill('kept'));
  await until(() => seen.length === 10, 'handled');
});

test('events that a process took and did not finish are handled by the next one, of the same name or another', async (context) => {
  const { open, look, journal } = context;
  const first = open();
  await bothUp(first);
  const gate = Promise.withResolvers<void>();
  let took = 0;
  first.subscribe(() => {
    took += 1;
    return gate.promise;
  });
  for (const n of [1, 2, 3, 4]) await first.publish(eventOf(n));
  await until(() => took === 1, 'taken');
  const closed = first.close();
  gate.reject(new Error('ended in the middle'));
  await closed;
  journal.rows.clear();
  for (const consumer of ['gepetto-0', 'gepetto-1']) {
    const next = open({ consumer, claimIdleMs: 0 });
    const seen: string[] = [];
    const hold = consumer === 'gepetto-0' ? 2 : 4;
    const stuck = Promise.withResolvers<void>();
    stuck.promise.catch(() => undefined);
    next.subscribe(async (event) => {
      if (seen.length === hold) await stuck.promise;
      seen.push(idOf(event));
    });
    await until(() => seen.length === Math.min(hold, 2), `handled by ${consumer}`);
    assert.equal(seen, consumer === 'gepetto-0' ? ['1', '2'] : ['3', '4']);
    const ended = next.close();
    stuck.reject(new Error('ended'));
    await ended;
  }
  assert.is(await pending(look()), 0);
});

test('an event that was handled and marked long ago, but not acknowledged, is not handled again', async (context) => {
  const { open, look, journal } = context;
  let ahead = 0;
  const clock: Clock = { ...scaledClock(100, Date.now()), now: () => Date.now() + ahead };
  const publisher = open({ clock });
  await bothUp(publisher);
  for (const n of [1, 2]) await publisher.publish(eventOf(n));
  await publisher.close();
  const [first] = journal.rows.keys();
  await journal.markEventsHandled([first ?? ''], Date.now());
  ahead = 120_000;
  const { seen } = collect(open({ clock }));
  await settled(journal, look());
  assert.equal(seen, ['2']);
});

test('a Redis that was killed and came back empty gets its group again', async ({ open, look, journal, redis }) => {
  const bus = open();
  const { seen } = collect(bus);
  await bothUp(bus);
  await bus.publish(eventOf('before'));
  await until(() => seen.length === 1, 'before');
  await redis.kill();
  await bus.publish(eventOf('meanwhile'));
  await redis.start('empty');
  await until(() => bus.health().redis.state === 'up', 'back');
  await bus.publish(eventOf('after'));
  await until(() => seen.length === 3, 'all');
  await settled(journal, look());
  assert.equal(seen, ['before', 'meanwhile', 'after']);
});

test('a Redis that lost its data without a broken connection gets its group again', async ({ open, look, journal }) => {
  const bus = open();
  const { seen } = collect(bus);
  await bothUp(bus);
  await bus.publish(eventOf('before'));
  await until(() => seen.length === 1, 'before');
  const admin = look();
  await admin.flushall();
  await bus.publish(eventOf('after'));
  await until(() => seen.length === 2, 'after');
  await settled(journal, admin);
  assert.equal(seen, ['before', 'after']);
});

test('what no stream delivered is found in the journal, once', async ({ open, journal }) => {
  const bus = open();
  const { seen } = collect(bus);
  await bothUp(bus);
  const id = '00000000-0000-7000-8000-000000000001';
  await journal.addEvents([{ id, receivedAt: 5, event: eventOf('only in the journal') }]);
  await until(() => seen.length === 1, 'swept');
  await until(() => journal.rows.get(id)?.handledAt !== undefined, 'marked');
  const row = journal.rows.get(id);
  // As when the mark came before the row.
  if (row) row.handledAt = undefined;
  await until(() => journal.rows.get(id)?.handledAt !== undefined, 'marked again');
  assert.equal(seen, ['only in the journal']);
});

test('attempts that fail while the journal is away do not count, and the order stays', async ({ open, journal }) => {
  const bus = open({ maxAttempts: 3, retryDelayMs: 100 });
  await bothUp(bus);
  let attempts = 0;
  const seen: string[] = [];
  bus.subscribe(async (event) => {
    attempts += 1;
    if (journal.state === 'away') throw new Error('store is away');
    seen.push(idOf(event));
  });
  journal.state = 'away';
  for (const n of [1, 2, 3]) await bus.publish(eventOf(n));
  await until(() => attempts >= 8, 'more attempts than are counted');
  journal.state = 'up';
  await until(() => seen.length === 3, 'handled');
  assert.equal([seen, bus.health().counts.givenUp], [['1', '2', '3'], 0]);
});

test('an event that the journal refuses goes through Redis alone, and those beside it are kept in both', async ({
  open,
  journal,
}) => {
  const bus = open();
  const { seen } = collect(bus);
  await bothUp(bus);
  journal.refuses = ({ event }) => idOf(event) === '7';
  await Promise.all(Array.from({ length: 10 }, (_, n) => bus.publish(eventOf(n))));
  await until(() => seen.length === 10, 'handled');
  await until(() => journal.rows.size === 9, 'the others in the journal');
  await until(() => bus.health().refused.journal === 1, 'counted');
  assert.is(bus.health().journal.state, 'up');
});

test('entries that are no events are left out, counted and do not stay', async ({ open, look, journal }) => {
  const admin = look();
  const id = '00000000-0000-7000-8000-000000000002';
  const strange = JSON.stringify({ event_type: 'instance_disabled', event_data: { validator: 'v' } });
  for (const fields of [
    ['message', '{'],
    ['id', id, 'at', '1', 'journaled', '', 'message', '{"event_type":"job_deleted","event_data":{}}'],
    ['id', id, 'at', '1', 'journaled', '', 'message', strange],
  ])
    await admin.xadd(streamKey, '*', ...fields);
  const bus = open();
  const { seen } = collect(bus);
  await bothUp(bus);
  await bus.publish(eventOf(1));
  await until(() => seen.length === 1, 'the good one');
  await until(() => bus.health().counts.unreadable === 3, 'counted');
  await settled(journal, admin);
});

test('neither the right nor a wrong password is ever shown', async (context) => {
  await context.redis.stop();
  await setup(context, { password });
  const bus = context.open();
  await bothUp(bus);
  await bus.publish(eventOf(1));
  const wrong = context.open({ password: 'not-hunter2' });
  await until(() => wrong.health().redis.reason?.includes('WRONGPASS') === true, 'refused');
  await context.redis.kill();
  await until(() => bus.health().redis.state === 'away', 'away');
  assert.not.match(context.lines.join('') + JSON.stringify([bus.health(), wrong.health()]), 'hunter2');
});

test('a URL that is none is an error without the URL', ({ open }) => {
  try {
    open({ url: 'redis//:hunter2@host' });
    assert.unreachable();
  } catch (error) {
    assert.ok(error instanceof MinerError && error.code === 'E-CONFIG');
    assert.not.match(`${error.stack}`, 'hunter2');
  }
});

test.after(() => forContract?.stop());
test.run();
