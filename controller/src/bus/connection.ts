// One connection to Redis that comes back by itself, for ever. Commands fail at once while it is away. The password is never shown.

import { Redis } from 'ioredis';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';
import { type Pauses, pauseAfter } from './patience.ts';

export interface ConnectionOptions {
  /** `redis://[:password@]host:port[/db]` or `rediss://…`. */
  url: string;
  /** Instead of one in the URL. */
  password?: string | undefined;
  /** Between attempts to connect, real ms. */
  pauses: Pauses;
  /** Real ms for one answer. */
  timeoutMs: number;
  random: Random;
  onUp?: () => void;
  onAway?: (reason: string) => void;
}

export interface Connection {
  redis: Redis;
  /** Why it is not ready, in the words of the connection; undefined while it is. */
  problem(): string | undefined;
}

/** Throws E-CONFIG for a URL that is none, without showing it. */
export function demandRedisUrl(url: string): void {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url))
    throw new MinerError('E-CONFIG', 'the Redis URL is not of the form redis://host:port');
}

/** Throws like `demandRedisUrl`. */
export function openRedis(options: ConnectionOptions): Connection {
  const { url, password, pauses, timeoutMs, random, onUp, onAway } = options;
  demandRedisUrl(url);
  const address = new URL(url);
  if (password !== undefined) address.password = password;
  const redis = new Redis(address.href, {
    connectionName: 'chutes-miner',
    connectTimeout: timeoutMs,
    // A link that died without a word is found by the silence after a command.
    socketTimeout: timeoutMs,
    keepAlive: 10_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.ceil(pauseAfter(times, pauses, random)),
    // A replica after a failover: connect again, the name leads to the new primary.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  let problem: string | undefined = 'not connected yet';
  function away(reason: string): void {
    problem = reason;
    onAway?.(reason);
  }
  redis.on('ready', () => {
    problem = undefined;
    onUp?.();
  });
  redis.on('error', (error: unknown) => away(messageOf(error)));
  redis.on('close', () => away(problem ?? 'the connection was closed'));
  return { redis, problem: () => problem };
}
