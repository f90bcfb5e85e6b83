// The bus over a real Redis, with a journal in memory that can be away.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startRedis } from '../../test/redis.ts';
import { MinerError } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import { busContract, eventOf, until } from './contract.ts';
import { createRedisBus } from './redis.ts';
import { channel, streamKey } from './stream.ts';
import { memoryJournal } from './testing/journal.ts';
import { bothUp, collect, endScene, type Scene, setScene, settled } from './testing/scene.ts';

const password = 'hunter2';
const test = suite<Scene>('redis bus');

test.before.each((context) => setScene(context));
test.after.each(endScene);

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
  await setScene(context, { password });
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

test.run();

busContract(
  'event bus over Redis',
  async ({ log, maxAttempts }) => {
    const server = await startRedis();
    const parts = { url: server.url, consumer: 'c', journal: memoryJournal(), log, maxAttempts };
    const bus = createRedisBus({ ...parts, retryDelayMs: 2 });
    return {
      bus,
      async close() {
        await bus.close();
        await server.stop();
      },
    };
  },
  5,
);
