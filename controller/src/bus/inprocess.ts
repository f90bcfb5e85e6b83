// Events within one process: each subscriber gets every event in the order of publishing, one at a time. Nothing survives a restart;
// what was missed is found by the feeds.

import type { Logger } from 'pino';
import { type Clock, systemClock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import type { EventBus } from '../domain/ports.ts';

export interface InProcessBusOptions {
  log: Pick<Logger, 'warn' | 'error'>;
  /** Pause before the second attempt, ms; doubled for each further one, at most 30 s. */
  retryDelayMs: number;
  /** Attempts before an event is given up for a subscriber and reported. Default 5. */
  maxAttempts?: number;
  clock?: Clock;
}

const longestPauseMs = 30_000;

/** The stop function of `subscribe` takes no new events, hands over those already published without pauses, then resolves. */
export function createInProcessBus(options: InProcessBusOptions): EventBus {
  const { log, retryDelayMs, maxAttempts = 5, clock = systemClock } = options;
  const subscribers = new Set<(event: MinerEvent) => void>();

  function subscribe(handler: (event: MinerEvent) => Promise<void>): () => Promise<void> {
    const stopping = new AbortController();
    let tail = Promise.resolve();

    async function deliver(event: MinerEvent): Promise<void> {
      for (let attempt = 1; ; attempt++) {
        try {
          await handler(event);
          return;
        } catch (error) {
          const fields = { type: event.type, attempt, reason: messageOf(error) };
          if (attempt >= maxAttempts) {
            log.error(fields, 'event given up');
            return;
          }
          log.warn(fields, 'event handler failed, trying again');
        }
        await clock.sleep(Math.min(longestPauseMs, retryDelayMs * 2 ** (attempt - 1)), stopping.signal);
      }
    }

    function take(event: MinerEvent): void {
      tail = tail.then(() => deliver(event));
    }

    subscribers.add(take);
    return () => {
      subscribers.delete(take);
      stopping.abort();
      return tail;
    };
  }

  async function publish(event: MinerEvent): Promise<void> {
    for (const take of subscribers) take(event);
  }

  return { publish, subscribe };
}
