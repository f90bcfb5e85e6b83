// How long to wait: growing pauses with jitter between attempts, and an end for an answer that does not come.

import { MinerError } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';

export interface Pauses {
  /** Before the second attempt, ms; doubled for each further one. */
  firstMs: number;
  longestMs: number;
}

/** Pause after the nth failure in a row (n from 1), ms: between half of the full pause and all of it. */
export function pauseAfter(failures: number, { firstMs, longestMs }: Pauses, random: Random): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30)) * (0.5 + random() / 2);
}

/** Rejects with E-EVENTS after `ms` of real time; what was asked for may still happen. */
export async function within<T>(ms: number, what: string, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new MinerError('E-EVENTS', `${what} took more than ${ms} ms`)), ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
