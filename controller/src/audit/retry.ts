// Tries again what may work later, a bounded number of times, with waits that differ from miner to miner.

import type { Clock } from '../domain/clock.ts';
import type { Random } from '../domain/random.ts';

export interface RetryOptions {
  attempts: number;
  /** Mean wait between two of them, ms; each is between half and one and a half of it. */
  waitMs: number;
  clock: Pick<Clock, 'sleep'>;
  random: Random;
  /** False for a failure that will be the same next time. */
  worthwhile(error: unknown): boolean;
  onFailure(error: unknown, attempt: number): void;
}

/** Rejects with the last failure. */
export async function retry<T>(options: RetryOptions, run: () => Promise<T>): Promise<T> {
  const { attempts, waitMs, clock, random, worthwhile, onFailure } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      onFailure(error, attempt);
      if (attempt >= attempts || !worthwhile(error)) throw error;
      await clock.sleep(waitMs * (0.5 + random()));
    }
  }
}
