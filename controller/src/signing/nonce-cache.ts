// Remembers accepted signatures for at least as long as they could be accepted again. Two generations: constant work per request, no timer.

import type { Clock } from '../domain/clock.ts';

export interface NonceCache {
  has(signature: string): boolean;
  add(signature: string): void;
  /** Remembered signatures, those about to be forgotten included. */
  size(): number;
}

/** `lifetimeMs`: how long a signature stays acceptable; it is remembered for one to two lifetimes. */
export function createNonceCache(clock: Pick<Clock, 'now'>, lifetimeMs: number): NonceCache {
  let current = new Set<string>();
  let previous = new Set<string>();
  let rotatedAt = clock.now();

  function rotate(): void {
    const age = clock.now() - rotatedAt;
    if (age < lifetimeMs) return;
    previous = age < 2 * lifetimeMs ? current : new Set();
    current = new Set();
    rotatedAt = clock.now();
  }

  return {
    has(signature) {
      rotate();
      return current.has(signature) || previous.has(signature);
    },
    add(signature) {
      rotate();
      current.add(signature);
    },
    size: () => current.size + previous.size,
  };
}
