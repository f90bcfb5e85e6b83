// For tests: a Redis of its own, a journal in memory, and buses on both whose clock runs a hundred times as fast.

import { Redis } from 'ioredis';
import pino from 'pino';
import { startRedis, type TestRedis, type TestRedisOptions } from '../../../test/redis.ts';
import { scaledClock } from '../../domain/clock.ts';
import { idOf, until } from '../contract.ts';
import { createRedisBus, type RedisBus, type RedisBusOptions } from '../redis.ts';
import { streamKey } from '../stream.ts';
import { type MemoryJournal, memoryJournal } from './journal.ts';

export interface Scene {
  redis: TestRedis;
  journal: MemoryJournal;
  lines: string[];
  closers: (() => Promise<unknown>)[];
  open(change?: Partial<RedisBusOptions>): RedisBus;
  /** A second eye on the server. */
  look(): Redis;
}

export async function setScene(context: Scene, options?: TestRedisOptions): Promise<void> {
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

export function collect(bus: RedisBus): { seen: string[]; stop: () => Promise<void> } {
  const seen: string[] = [];
  const stop = bus.subscribe(async (event) => {
    seen.push(idOf(event));
  });
  return { seen, stop };
}

export async function bothUp(bus: RedisBus): Promise<void> {
  await until(() => bus.health().redis.state === 'up' && bus.health().journal.state === 'up', 'both up');
}

function open(journal: MemoryJournal): number {
  return [...journal.rows.values()].filter(({ handledAt }) => handledAt === undefined).length;
}

/** Undefined while there is no group. */
export async function pending(look: Redis): Promise<number | undefined> {
  try {
    const [count] = (await look.xpending(streamKey, 'gepetto')) as [number];
    return count;
  } catch {
    return undefined;
  }
}

/** Nothing open in the journal, nothing pending in the stream. */
export async function settled(journal: MemoryJournal, look: Redis): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (open(journal) === 0 && (await pending(look)) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${open(journal)} open in the journal, ${await pending(look)} pending in the stream`);
}

export async function endScene({ closers }: Scene): Promise<void> {
  for (const close of closers.reverse()) await close();
}
