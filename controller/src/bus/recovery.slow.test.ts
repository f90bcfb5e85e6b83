// What the bus does when Redis, the journal or the process itself went away, with a real Redis and a journal in memory.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Clock, scaledClock } from '../domain/clock.ts';
import { eventOf, idOf, until } from './contract.ts';
import { bothUp, collect, endScene, pending, type Scene, setScene, settled } from './testing/scene.ts';

const test = suite<Scene>('redis bus after an outage');

test.before.each((context) => setScene(context));
test.after.each(endScene);

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
  await until(() => bus.health().redis.reason?.includes('ECONNREFUSED') === true, 'health tells why');
  assert.is(bus.health().redis.state, 'away');
  await redis.start('empty');
  await until(() => bus.health().redis.state === 'up' && bus.health().waiting.redis === 0, 'Redis has them too');
  await settled(journal, look());
  assert.equal(
    seen,
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
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

test.run();
