// Events from the validator's socket to a handler that is done with them: within one process, and over Redis with the journal in
// PostgreSQL. Prints one JSON object a line: events a second when they come as fast as they can, latency when 200 a second come.

import { createInProcessBus } from '@miner/controller/bus/inprocess.ts';
import { createRedisBus } from '@miner/controller/bus/redis.ts';
import { type Broadcaster, startBroadcaster } from '@miner/controller/bus/testing/broadcaster.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import type { EventBus } from '@miner/controller/domain/ports.ts';
import { createSigner } from '@miner/controller/signing/sr25519.ts';
import { openStore } from '@miner/controller/store/open.ts';
import { connectSocket } from '@miner/controller/validator/socket.ts';
import pino from 'pino';
import { startPostgres } from '../controller/test/postgres.ts';
import { startRedis } from '../controller/test/redis.ts';
import { machine } from './machine.ts';

const burst = 10_000;
const paced = 2000;
const eventsPerSecond = 200;
const warmUps = 500;

const signer = createSigner(Buffer.alloc(32, 7));
const hotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const log = pino({ level: 'error' }, pino.destination(2));

interface Intake {
  name: string;
  /** Takes what the socket brings. */
  entrance: EventBus;
  /** Hands it to the handler; in another process of the miner where the bus allows that. */
  exit: EventBus;
}

/** Send `count` events, `rate` a second or as fast as they go; resolves when all are handled. */
async function round({ broadcaster, intake, count, rate }: Round): Promise<{ ms: number; latencies: number[] }> {
  const received = new Map<string, number>();
  const latencies: number[] = [];
  const all = Promise.withResolvers<void>();
  const unsubscribe = intake.exit.subscribe(async (event) => {
    if (event.type !== 'image_deleted') return;
    latencies.push(performance.now() - (received.get(event.data.image_id) ?? Number.NaN));
    if (latencies.length === count) all.resolve();
  });
  const socket = connectSocket({
    config: { hotkey, registry: 'r', api: 'http://unused', socket: `ws://127.0.0.1:${broadcaster.port}` },
    signer,
    onEvent(event) {
      if (event.type === 'image_deleted') received.set(event.data.image_id, performance.now());
      return intake.entrance.publish(event);
    },
    log,
    clock: systemClock,
  });
  while (!socket.connected()) await systemClock.sleep(5);

  const started = performance.now();
  for (let n = 0; n < count; n++) {
    if (rate !== undefined) await systemClock.sleep(Math.max(1, started + (n * 1000) / rate - performance.now()));
    else if (n % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    if (!broadcaster.send('image_deleted', { image_id: `${n}` })) throw new Error('the socket was lost');
  }
  await all.promise;
  const ms = performance.now() - started;
  await socket.close();
  await unsubscribe();
  return { ms, latencies: latencies.sort((a, b) => a - b) };
}

interface Round {
  broadcaster: Broadcaster;
  intake: Intake;
  count: number;
  rate?: number;
}

function print(name: string, value: number, unit: string, n: number): void {
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, n, machine: machine() }));
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measure(broadcaster: Broadcaster, intake: Intake): Promise<void> {
  await round({ broadcaster, intake, count: warmUps });
  const { ms } = await round({ broadcaster, intake, count: burst });
  print(`event-intake ${intake.name} rate`, (burst * 1000) / ms, 'events/s', burst);
  const { latencies } = await round({ broadcaster, intake, count: paced, rate: eventsPerSecond });
  print(`event-intake ${intake.name} p50`, percentile(latencies, 0.5), 'ms', paced);
  print(`event-intake ${intake.name} p99`, percentile(latencies, 0.99), 'ms', paced);
}

const broadcaster = await startBroadcaster();
const inProcess = createInProcessBus({ log, retryDelayMs: 500 });
await measure(broadcaster, { name: 'in-process', entrance: inProcess, exit: inProcess });

const [postgres, redis] = await Promise.all([startPostgres(), startRedis({ durable: true })]);
try {
  const store = await openStore({ url: postgres.url });
  const common = { url: redis.url, journal: store, log, outboxLimit: 2 * burst };
  const entrance = createRedisBus({ ...common, consumer: 'controller' });
  const exit = createRedisBus({ ...common, consumer: 'gepetto' });
  while (entrance.health().redis.state === 'away' || exit.health().journal.state === 'away') await systemClock.sleep(5);
  await measure(broadcaster, { name: 'redis', entrance, exit });
  await entrance.close();
  await exit.close();
  await store.close();
} finally {
  await redis.stop();
  await postgres.stop();
  await broadcaster.stop();
}
