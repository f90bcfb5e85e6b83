// The way of items into one place: in order, in batches, again and again while the place is away. Bounded: what finds no room is
// refused, counted and reported, never dropped without a word.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';
import type { Part } from './part.ts';
import { type Pauses, pauseAfter, within } from './patience.ts';

export interface LaneOptions<T> {
  /** What it carries where, for the log. */
  name: string;
  /** All or nothing. */
  write(items: readonly T[]): Promise<unknown>;
  /** Rejects when the place does not answer at all: tells an outage from an item that it does not take. */
  probe(): Promise<unknown>;
  part: Part;
  /** Items that wait at most. */
  limit: number;
  /** Items of one write at most. */
  batch: number;
  pauses: Pauses;
  /** Real ms for one write. */
  timeoutMs: number;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'warn' | 'error'>;
}

export interface Lane<T> {
  /** Resolves when it is written; rejects with E-EVENTS when there is no room, it is not taken, or the lane closed before. */
  put(item: T): Promise<void>;
  waiting(): number;
  /** Items that were refused so far. */
  refused(): number;
  /** One more attempt for what waits, then nothing. */
  close(): Promise<void>;
}

interface Waiting<T> {
  item: T;
  written: PromiseWithResolvers<void>;
}

/** Times that a place which answers may refuse one item before it is given up. */
const refusals = 3;

export function createLane<T>(options: LaneOptions<T>): Lane<T> {
  const { name, write, probe, part, limit, batch, pauses, timeoutMs, clock, random, log } = options;
  const queue: Waiting<T>[] = [];
  let refused = 0;
  let full = false;
  let closing = false;
  let running: Promise<void> | undefined;
  let hurry = new AbortController();

  part.onChange(({ state }) => {
    if (state === 'up') hurry.abort();
  });

  function refuse({ written }: Waiting<T>, reason: string): void {
    refused += 1;
    written.reject(new MinerError('E-EVENTS', `${name}: ${reason}`));
  }

  function done(count: number): void {
    for (const { written } of queue.splice(0, count)) written.resolve();
    full = false;
    part.up();
  }

  async function answers(): Promise<boolean> {
    try {
      await within(timeoutMs, name, probe());
      return true;
    } catch {
      return false;
    }
  }

  async function work(): Promise<void> {
    let failures = 0;
    let strikes = 0;
    let size = batch;
    while (queue.length > 0) {
      const items = queue.slice(0, size).map(({ item }) => item);
      try {
        await within(timeoutMs, name, write(items));
        done(items.length);
        failures = strikes = 0;
        size = Math.min(batch, size * 2);
        continue;
      } catch (error) {
        failures += 1;
        const reason = messageOf(error);
        if (!(await answers())) part.away(reason);
        else if (items.length > 1) size = 1;
        else strikes += 1;
        if (strikes === refusals) {
          const [bad] = queue.splice(0, 1);
          log.error({ lane: name, reason }, 'the event bus could not write an item, given up');
          if (bad) refuse(bad, reason);
          strikes = 0;
        }
      }
      if (closing) {
        for (const left of queue.splice(0)) refuse(left, 'closed');
        return;
      }
      hurry = new AbortController();
      await clock.sleep(pauseAfter(failures, pauses, random), hurry.signal);
    }
  }

  function wake(): void {
    running ??= work().finally(() => {
      running = undefined;
      if (queue.length > 0) wake();
    });
  }

  function put(item: T): Promise<void> {
    const waiting = { item, written: Promise.withResolvers<void>() };
    if (closing) refuse(waiting, 'closed');
    else if (queue.length >= limit) {
      if (!full) log.error({ lane: name, limit }, 'the event bus has no room for more, refusing');
      full = true;
      refuse(waiting, `${limit} wait already`);
    } else {
      queue.push(waiting);
      wake();
    }
    return waiting.written.promise;
  }

  async function close(): Promise<void> {
    closing = true;
    hurry.abort();
    await running;
  }

  return { put, waiting: () => queue.length, refused: () => refused, close };
}
