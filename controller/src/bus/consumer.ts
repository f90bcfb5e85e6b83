// Fetches events for this process: from the stream as long as Redis answers, from the journal whatever no stream delivered. After
// every interruption it starts from the beginning: the group, the journal, what was left unacknowledged, then what is new.

import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';
import type { Journal } from './guardedjournal.ts';
import type { Inbox } from './inbox.ts';
import { pauseAfter } from './patience.ts';
import { type Consumer, claimStale, ensureGroup, readNew, readOwn } from './stream.ts';

export interface ConsumerOptions {
  /** A connection of its own, because reading blocks it. */
  reader: Redis;
  consumer: Consumer;
  inbox: Inbox;
  journal: Journal;
  /** Between two looks into the journal, ms of the clock. */
  sweepMs: number;
  /** The same while Redis is away. */
  awaySweepMs: number;
  /** Events younger than that are left to the stream, ms. */
  graceMs: number;
  /** After that, what another consumer left is taken over; real ms. */
  claimIdleMs: number;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'warn' | 'info'>;
}

const pageSize = 100;
const sweepSize = 1000;
const blockMs = 1000;

/** Runs until the signal aborts; never rejects. */
export async function consume(options: ConsumerOptions, signal: AbortSignal): Promise<void> {
  const { reader, consumer, inbox, journal, clock, random, log } = options;
  const { sweepMs, awaySweepMs, graceMs, claimIdleMs } = options;

  /** Hand over what the journal has open: all of it, or what is old enough to have come through the stream. */
  async function sweep(what: 'all' | 'old'): Promise<void> {
    const at = clock.now();
    const open = await journal.unhandled(what === 'all' ? at + 1 : at - graceMs, sweepSize);
    if (open && what === 'all' && open.length < sweepSize) inbox.learn(new Set(open.map(({ id }) => id)), at);
    for (const entry of open ?? []) inbox.fromJournal(entry);
  }

  async function takeOwn(): Promise<void> {
    let after = '0';
    while (!signal.aborted) {
      const entries = await readOwn(reader, consumer, pageSize, after);
      const last = entries.at(-1);
      if (!last) return;
      for (const one of entries) inbox.fromStream(one);
      after = last.streamId;
      await inbox.room(signal);
    }
  }

  async function takeStale(): Promise<void> {
    let from = '0-0';
    do {
      const { next, entries } = await claimStale(reader, consumer, claimIdleMs, pageSize, from);
      for (const one of entries) inbox.fromStream(one);
      from = next;
      await inbox.room(signal);
    } while (from !== '0-0' && !signal.aborted);
  }

  /** Resolves with true as soon as the connection stands, with false when that takes too long. */
  async function connected(): Promise<boolean> {
    if (reader.status === 'ready') return true;
    const waiting = new AbortController();
    const onReady = () => waiting.abort();
    reader.once('ready', onReady);
    await clock.sleep(awaySweepMs, AbortSignal.any([signal, waiting.signal]));
    reader.off('ready', onReady);
    return waiting.signal.aborted;
  }

  /** In the order in which the events came in, as far as that can be known. */
  async function catchUp(): Promise<void> {
    await ensureGroup(reader, consumer.group);
    await sweep('all');
    await takeOwn();
    await takeStale();
  }

  let fresh = true;
  let failures = 0;
  let nextSweep = 0;

  async function round(): Promise<void> {
    if (fresh) {
      await catchUp();
      nextSweep = clock.now() + sweepMs;
    } else if (clock.now() >= nextSweep) {
      await takeStale();
      await sweep('old');
      nextSweep = clock.now() + sweepMs;
    }
    fresh = false;
    for (const one of await readNew(reader, consumer, pageSize, blockMs)) inbox.fromStream(one);
    failures = 0;
  }

  while (!signal.aborted) {
    await inbox.room(signal);
    if (!(await connected())) {
      if (!signal.aborted) await sweep('all');
      continue;
    }
    try {
      await round();
    } catch (error) {
      if (signal.aborted) return;
      // Also when Redis lost its data: the next round makes the group again.
      fresh = true;
      failures += 1;
      log.warn({ reason: messageOf(error) }, 'events could not be read from the stream, trying again');
      await clock.sleep(pauseAfter(failures, { firstMs: 50, longestMs: awaySweepMs }, random), signal);
    }
  }
}
