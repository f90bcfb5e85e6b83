// Events at least once over Redis and a journal: either of them alone is enough to keep one, both away fill a bounded memory. Each
// event reaches the handlers of a process once. One process at a time consumes for a group; publishers may be many.

import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import type { EventBus, JournalEntry } from '../domain/ports.ts';
import { type Random, systemRandom } from '../domain/random.ts';
import { openRedis } from './connection.ts';
import { consume } from './consumer.ts';
import { guardJournal, type JournalStore } from './guardedjournal.ts';
import { createInbox } from './inbox.ts';
import { createLane } from './lane.ts';
import { createOutbox } from './outbox.ts';
import { createPart, type PartHealth } from './part.ts';
import { acknowledge, addToStream, type Outgoing } from './stream.ts';
import { createSubscription, type Subscription } from './subscription.ts';

export interface RedisBusOptions {
  /** `redis://[:password@]host:port[/db]`; never shown. */
  url: string;
  password?: string | undefined;
  journal: JournalStore;
  /** Name of this process among the consumers of its group; the same after a restart. */
  consumer: string;
  /** Consumers that share the work. All that share a journal are in one group. Default `gepetto`. */
  group?: string;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  clock?: Clock;
  random?: Random;
  /** Attempts of a handler that count, before an event is given up. Default 5. */
  maxAttempts?: number;
  /** Before a handler's second attempt, ms; doubled, at most 30 s. Default 500. */
  retryDelayMs?: number;
  /** Events that wait in memory for each of Redis and the journal. Default 10,000. */
  outboxLimit?: number;
  /** Entries the stream keeps, about. Default 100,000. */
  streamLength?: number;
  /** Between two looks into the journal for events that no stream delivered, ms. Default 30 s. */
  sweepMs?: number;
  /** Real ms after which another consumer's unacknowledged events are taken over. Default 60 s. */
  claimIdleMs?: number;
  /** Real ms for one answer of Redis or the journal. Default 5 s. */
  timeoutMs?: number;
}

export interface BusHealth {
  redis: PartHealth;
  journal: PartHealth;
  /** Events that this process has not yet written to Redis, and to the journal. */
  waiting: { redis: number; journal: number };
  /** Events that could not be written there, for want of room or because they were not taken; the other part has them. */
  refused: { redis: number; journal: number };
  /** Since the start. `lost`: could be kept nowhere. */
  counts: { published: number; handled: number; givenUp: number; lost: number; unreadable: number };
}

export interface RedisBus extends EventBus {
  health(): BusHealth;
  /** Stops the subscribers, tries once more to write what waits, and closes the connections. */
  close(): Promise<void>;
}

const remember = 100_000;
const window = 256;
const awaySweepMs = 1000;
const graceMs = 10_000;
const reconnectPauses = { firstMs: 50, longestMs: 2000 };
const lanePauses = { firstMs: 100, longestMs: 5000 };
const longestRetryMs = 30_000;

/** Throws E-CONFIG for a URL that is none; whatever is away at the start is waited for. */
export function createRedisBus(options: RedisBusOptions): RedisBus {
  const { url, password, consumer, group = 'gepetto', log, clock = systemClock, random = systemRandom } = options;
  const { maxAttempts = 5, retryDelayMs = 500, outboxLimit = 10_000, streamLength = 100_000 } = options;
  const { sweepMs = 30_000, claimIdleMs = 60_000, timeoutMs = 5000 } = options;
  const counts = { published: 0, handled: 0, givenUp: 0, lost: 0, unreadable: 0 };
  const redisPart = createPart('redis', clock, log);
  const journalPart = createPart('journal', clock, log);
  const journal = guardJournal(options.journal, journalPart, timeoutMs);
  const link = { url, password, pauses: reconnectPauses, timeoutMs, random };
  const { redis: writer, problem } = openRedis({ ...link, onUp: redisPart.up, onAway: redisPart.away });
  void journal.unhandled(0, 1);

  const common = { limit: outboxLimit, batch: 200, pauses: lanePauses, timeoutMs, clock, random, log };
  const toRedis = {
    ...common,
    // A command that could not be sent knows less than the connection.
    part: { ...redisPart, away: (reason: string) => redisPart.away(problem() ?? reason) },
    probe: () => writer.ping(),
  };
  const toJournal = { ...common, part: journalPart, probe: journal.probe };
  const journalLane = createLane<JournalEntry>({ ...toJournal, name: 'events to the journal', write: journal.add });
  const streamLane = createLane<Outgoing>({
    ...toRedis,
    name: 'events to Redis',
    write: (items) => addToStream(writer, items, streamLength),
  });
  const markLane = createLane<string>({
    ...toJournal,
    name: 'marks to the journal',
    limit: remember,
    write: (ids) => journal.markHandled(ids, clock.now()),
  });
  const ackLane = createLane<string>({
    ...toRedis,
    name: 'acknowledgements to Redis',
    limit: remember,
    write: (streamIds) => acknowledge(writer, group, streamIds),
  });

  const subscriptions = new Set<Subscription>();
  // What is lost of these comes again and is known as done.
  const forgiven = () => undefined;
  const inbox = createInbox({
    async deliver(entry) {
      if (subscriptions.size === 0) return false;
      const all = await Promise.all([...subscriptions].map((one) => one.deliver(entry)));
      const done = all.every(Boolean);
      if (done) counts.handled += 1;
      return done;
    },
    acknowledge: (streamId) => void ackLane.put(streamId).catch(forgiven),
    mark: (id) => void markLane.put(id).catch(forgiven),
    onUnreadable(problem, streamId) {
      counts.unreadable += 1;
      log.warn({ streamId, problem }, 'an entry of the event stream cannot be read, left out');
    },
    window,
    remember,
  });

  let reading: { stop: AbortController; ended: Promise<void>; reader: Redis } | undefined;

  function startReading(): void {
    const reader = openRedis(link).redis;
    const stop = new AbortController();
    const names = { group, name: consumer };
    const parts = { reader, consumer: names, inbox, journal, clock, random, log };
    const ended = consume({ ...parts, sweepMs, awaySweepMs, graceMs, claimIdleMs }, stop.signal);
    reading = { stop, ended, reader };
  }

  async function stopReading(): Promise<void> {
    if (!reading) return;
    const { stop, ended, reader } = reading;
    reading = undefined;
    stop.abort();
    reader.disconnect();
    await ended;
  }

  function subscribe(handler: (event: MinerEvent) => Promise<void>): () => Promise<void> {
    const subscription = createSubscription({
      handler,
      maxAttempts,
      pauses: { firstMs: retryDelayMs, longestMs: longestRetryMs },
      outage: async () => (await journal.unhandled(0, 1)) === undefined,
      onGivenUp: () => {
        counts.givenUp += 1;
      },
      remember,
      clock,
      random,
      log,
    });
    subscriptions.add(subscription);
    if (!reading) startReading();
    return async () => {
      subscriptions.delete(subscription);
      const last = subscriptions.size === 0 ? stopReading() : undefined;
      await Promise.all([subscription.stop(), last]);
    };
  }

  const outbox = createOutbox({ journal: journalLane, stream: streamLane, journalPart, clock });

  async function publish(event: MinerEvent): Promise<void> {
    try {
      await outbox.publish(event);
      counts.published += 1;
    } catch (error) {
      counts.lost += 1;
      log.error({ type: event.type }, messageOf(error));
      throw error;
    }
  }

  return {
    publish,
    subscribe,
    health: () => ({
      redis: redisPart.health(),
      journal: journalPart.health(),
      waiting: { redis: streamLane.waiting(), journal: journalLane.waiting() },
      refused: { redis: streamLane.refused(), journal: journalLane.refused() },
      counts: { ...counts },
    }),
    async close() {
      const stopping = [...subscriptions].map((one) => one.stop());
      subscriptions.clear();
      await Promise.all([stopReading(), ...stopping]);
      await journalLane.close();
      await Promise.all([streamLane.close(), markLane.close(), ackLane.close()]);
      writer.disconnect();
    },
  };
}
