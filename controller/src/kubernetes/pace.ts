// Waiting on the miner's clock, which may run faster than the world: a network does not, so every wait has a least real length.

import { type Clock, systemClock } from '../domain/clock.ts';

/** Wait `ms` of the clock's time, but at least `floorMs` of real time. Ends early when the signal aborts. */
export async function pace(clock: Clock, ms: number, floorMs: number, signal?: AbortSignal): Promise<void> {
  await Promise.all([clock.sleep(ms, signal), systemClock.sleep(Math.min(ms, floorMs), signal)]);
}

export interface Deadline {
  /** Start, or start again. */
  restart(): void;
  /** Start unless it runs already. */
  start(): void;
  cancel(): void;
}

/** Calls `expired` once `ms` after the start, unless cancelled or restarted before. */
export function createDeadline(clock: Clock, ms: number, floorMs: number, expired: () => void): Deadline {
  let running: AbortController | undefined;
  function cancel(): void {
    running?.abort();
    running = undefined;
  }
  function start(): void {
    if (running) return;
    const mine = new AbortController();
    running = mine;
    pace(clock, ms, floorMs, mine.signal).then(() => {
      if (running !== mine) return;
      running = undefined;
      expired();
    });
  }
  return {
    start,
    cancel,
    restart() {
      cancel();
      start();
    },
  };
}
