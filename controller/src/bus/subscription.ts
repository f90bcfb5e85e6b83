// One subscriber: events in order, one at a time, each again after growing pauses until its handler is done with it. Attempts that an
// outage made fail do not count; an event that fails for another reason too often is given up and reported.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import type { JournalEntry } from '../domain/ports.ts';
import type { Random } from '../domain/random.ts';
import { type Pauses, pauseAfter } from './patience.ts';
import { createRecent } from './recent.ts';

export interface SubscriptionOptions {
  handler: (event: MinerEvent) => Promise<void>;
  /** Attempts that count before an event is given up. */
  maxAttempts: number;
  pauses: Pauses;
  /** Whether what handlers depend on is away now. */
  outage(): Promise<boolean>;
  onGivenUp(): void;
  /** Ids remembered as done. */
  remember: number;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'warn' | 'error'>;
}

export interface Subscription {
  /** True when this subscriber is done with it (handled, given up, or done before), false when it stopped first. */
  deliver(entry: JournalEntry): Promise<boolean>;
  /** No new handler call; resolves when the running one has ended. */
  stop(): Promise<void>;
}

export function createSubscription(options: SubscriptionOptions): Subscription {
  const { handler, maxAttempts, pauses, outage, onGivenUp, remember, clock, random, log } = options;
  const stopping = new AbortController();
  const done = createRecent(remember);
  let tail: Promise<unknown> = Promise.resolve();

  async function handle({ id, event }: JournalEntry): Promise<boolean> {
    if (done.has(id)) return true;
    for (let failures = 0, counted = 0; !stopping.signal.aborted; ) {
      try {
        await handler(event);
        done.add(id);
        return true;
      } catch (error) {
        failures += 1;
        if (!(await outage())) counted += 1;
        const fields = { id, type: event.type, attempt: failures, reason: messageOf(error) };
        if (counted >= maxAttempts) {
          log.error(fields, 'event given up');
          onGivenUp();
          done.add(id);
          return true;
        }
        log.warn(fields, 'event handler failed, trying again');
      }
      await clock.sleep(pauseAfter(failures, pauses, random), stopping.signal);
    }
    return false;
  }

  function deliver(entry: JournalEntry): Promise<boolean> {
    const handled = tail.then(() => handle(entry));
    tail = handled;
    return handled;
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await tail;
  }

  return { deliver, stop };
}
