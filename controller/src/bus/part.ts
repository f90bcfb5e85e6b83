// Whether one part that the bus leans on (Redis, the journal) answers, and since when it does or does not.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';

export interface PartHealth {
  state: 'up' | 'away';
  /** Since when it is as `state` says, ms. */
  since: number;
  /** Why it is away, as far as known. */
  reason: string | undefined;
}

export interface Part {
  up(): void;
  away(reason: string): void;
  health(): PartHealth;
  /** Called after each change of the state. */
  onChange(listener: (health: PartHealth) => void): void;
}

/** Away until it answers for the first time. */
export function createPart(name: string, clock: Clock, log: Pick<Logger, 'info' | 'warn'>): Part {
  let health: PartHealth = { state: 'away', since: clock.now(), reason: 'did not answer yet' };
  const listeners: ((health: PartHealth) => void)[] = [];

  function change(next: PartHealth): void {
    const { state, since } = health;
    if (state === next.state) {
      health = { ...health, reason: next.reason };
      return;
    }
    health = next;
    const lasted = Math.round(next.since - since);
    if (next.state === 'up') log.info({ part: name, lasted }, 'a part of the event bus answers');
    else log.warn({ part: name, reason: next.reason }, 'a part of the event bus is away');
    for (const listener of listeners) listener(health);
  }

  return {
    up: () => change({ state: 'up', since: clock.now(), reason: undefined }),
    away: (reason) => change({ state: 'away', since: clock.now(), reason }),
    health: () => health,
    onChange: (listener) => void listeners.push(listener),
  };
}
