// Each outage in the middle of 1,000 events: validator socket → bus over a real Redis, journal in a real PostgreSQL → handler that
// writes through the store. Time runs sixty times as fast.

import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { startRedis, type TestRedis } from '../../test/redis.ts';
import { scaledClock } from '../domain/clock.ts';
import type { Store } from '../domain/ports.ts';
import { hotkey, makeLifecycle, makeServer, uuid } from '../store/contract/fixtures.ts';
import { openStore } from '../store/open.ts';
import { connectSocket, type ValidatorSocket } from '../validator/socket.ts';
import { miner } from '../validator/testing/http-validator.ts';
import { until } from './contract.ts';
import { createRedisBus, type RedisBus } from './redis.ts';
import { type Broadcaster, startBroadcaster } from './testing/broadcaster.ts';
import { type Gate, openGate } from './testing/gate.ts';

const total = 1000;
const firstInstance = 100_000;
const clock = scaledClock(60, Date.now());
const inTenYears = Date.now() + 10 * 365 * 86_400_000;

let postgres: TestPostgres;
let gate: Gate;

interface Context {
  redis: TestRedis;
  broadcaster: Broadcaster;
  store: Store;
  /** Of the process with the socket, and of the one that handles. */
  publisher: RedisBus;
  consumer: RedisBus;
  socket: ValidatorSocket;
  /** Handler runs that ended well, by instance id. */
  completions: Map<string, number>;
  relayed(): number;
  lines: { part?: string; reason?: string; msg: string }[];
  closers: (() => Promise<unknown>)[];
}

const test = suite<Context>('1,000 events');

test.before(async () => {
  postgres = await startPostgres();
  gate = await openGate(postgres.url);
});
test.after(async () => {
  await gate.close();
  await postgres.stop();
});

test.before.each(async (context) => {
  const closers: Context['closers'] = [];
  context.closers = closers;
  const [redis, broadcaster] = await Promise.all([startRedis(), startBroadcaster()]);
  closers.push(redis.stop, broadcaster.stop);
  const store = await openStore({ url: gate.url });
  closers.push(store.close);
  // Every connection of the pool stands before an outage begins.
  await Promise.all(Array.from({ length: 30 }, () => store.chutes()));
  await store.deleteServer('gpu-1');
  const left = await store.unhandledEvents(inTenYears, 2 * total);
  await store.markEventsHandled(
    left.map(({ id }) => id),
    clock.now(),
  );
  await store.addServer(makeServer(1));
  await store.addLifecycle(Array.from({ length: total }, (_, n) => makeLifecycle(n, { configId: uuid(n) })));

  const lines: Context['lines'] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const common = { url: redis.url, journal: store, log, clock };
  const publisher = createRedisBus({ ...common, consumer: 'controller' });
  const consumer = createRedisBus({ ...common, consumer: 'gepetto' });
  closers.push(publisher.close, consumer.close);
  for (const bus of [publisher, consumer])
    await until(() => bus.health().redis.state === 'up' && bus.health().journal.state === 'up', 'both up');

  const completions = new Map<string, number>();
  consumer.subscribe(async (event) => {
    if (event.type !== 'instance_created') return;
    const { config_id: configId, instance_id: instanceId } = event.data;
    await store.linkInstance(configId, instanceId, clock.now());
    completions.set(instanceId, (completions.get(instanceId) ?? 0) + 1);
  });
  let relayed = 0;
  const socket = connectSocket({
    config: { hotkey, registry: 'r', api: 'http://unused', socket: `ws://127.0.0.1:${broadcaster.port}` },
    signer: miner,
    onEvent: (event) => {
      relayed += 1;
      return publisher.publish(event);
    },
    log,
    clock,
  });
  closers.push(socket.close);
  await until(() => socket.connected(), 'signed in');
  Object.assign(context, { redis, broadcaster, store, publisher, consumer, socket, completions, lines });
  context.relayed = () => relayed;
});

test.after.each(async ({ closers }) => {
  for (const close of closers.reverse()) await close();
});

/** Events `from` to `to - 1`, a few at a time. */
async function send({ broadcaster }: Context, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const data = { miner_hotkey: 'm', config_id: uuid(n), instance_id: uuid(firstInstance + n) };
    assert.ok(broadcaster.send('instance_created', data), `event ${n} while the miner is connected`);
    if (n % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Everything that was sent has had its effect, by exactly one run of the handler, and nothing is left anywhere. */
async function allHandledOnce({ completions, store, publisher, consumer }: Context): Promise<void> {
  await until(() => completions.size === total, 'all handled');
  for (let i = 0; (await store.unhandledEvents(inTenYears, 1)).length > 0; i++) {
    assert.ok(i < 1000, 'the journal has no open event');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const idle = () => {
    const { redis, journal } = publisher.health().waiting;
    return redis + journal === 0;
  };
  await until(idle, 'nothing waits in memory');
  const runs = [...completions.values()].filter((count) => count !== 1);
  assert.equal(runs, [], 'more than one run of the handler');
  const rows = await store.lifecycles();
  const linked = rows.filter(({ configId, instanceId }) => {
    const n = Number.parseInt(configId?.slice(-12) ?? '', 16);
    return instanceId === uuid(firstInstance + n);
  });
  assert.is(linked.length, total);
  for (const bus of [publisher, consumer]) {
    const { counts, refused, redis, journal } = bus.health();
    assert.equal([counts.givenUp, counts.lost, counts.unreadable, refused], [0, 0, 0, { redis: 0, journal: 0 }]);
    assert.equal([redis.state, journal.state], ['up', 'up']);
  }
  assert.is(publisher.health().counts.published, total);
}

function told({ lines }: Context, part: string): boolean {
  return lines.some((line) => line.part === part && line.msg.endsWith('is away'));
}

test('with PostgreSQL stopped and started in the middle each is handled once, and health tells of the journal', async (context) => {
  const { publisher, consumer, completions } = context;
  await send(context, 0, 300);
  const before = clock.now();
  gate.shut();
  await Promise.all([postgres.restart(), send(context, 300, 500)]);
  for (const bus of [publisher, consumer]) {
    await until(() => bus.health().journal.state === 'away', 'noticed');
    assert.ok(bus.health().journal.since >= before);
    assert.is(bus.health().redis.state, 'up');
  }
  const { size } = completions;
  await send(context, 500, 800);
  assert.is(completions.size, size, 'no handler succeeds without its database');
  await gate.open();
  await send(context, 800, total);
  await allHandledOnce(context);
  assert.ok(told(context, 'journal') && !told(context, 'redis'));
});

test('with Redis killed and started empty in the middle each is handled once, and health tells of Redis', async (context) => {
  const { redis, publisher, consumer, completions } = context;
  await send(context, 0, 300);
  const before = clock.now();
  await Promise.all([redis.kill(), send(context, 300, 400)]);
  for (const bus of [publisher, consumer]) {
    await until(() => bus.health().redis.state === 'away', 'noticed');
    assert.ok(bus.health().redis.since >= before);
    assert.is(bus.health().journal.state, 'up');
  }
  await send(context, 400, 700);
  await until(() => completions.size >= 700, 'the journal alone carries them');
  await redis.start('empty');
  await send(context, 700, total);
  for (const bus of [publisher, consumer]) await until(() => bus.health().redis.state === 'up', 'back');
  await allHandledOnce(context);
  assert.ok(told(context, 'redis'));
});

test('with the validator gone for two minutes in the middle each is handled once, and the socket tells since when', async (context) => {
  const { broadcaster, socket, relayed } = context;
  await send(context, 0, 500);
  await until(() => relayed() === 500, 'what was sent has arrived');
  const before = clock.now();
  await broadcaster.stop();
  await until(() => !socket.connected(), 'noticed');
  const since = socket.since();
  assert.ok(since >= before);
  await clock.sleep(120_000);
  assert.equal([socket.connected(), socket.since()], [false, since]);
  await broadcaster.start();
  await until(() => socket.connected(), 'signed in again');
  assert.ok(socket.since() - since >= 120_000 - 1000);
  assert.is(broadcaster.signIns(), 2);
  await send(context, 500, total);
  await allHandledOnce(context);
  assert.not.ok(told(context, 'redis') || told(context, 'journal'));
});

test.run();
