// Runs passes one after the other: at once when woken, and every `intervalMs` as the safety net. Wakes during a pass are coalesced.
// After a pass that failed the next one waits, longer each time: what failed mends itself seldom, and each pass asks for launch tokens.

import type { Clock } from '../domain/clock.ts';

export interface Loop {
  /** Ask for a pass soon. */
  wake(): void;
  /** Ends after the pass in progress. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  clock: Clock;
  /** Between passes when nothing happens, in the clock's ms. */
  intervalMs: number;
  /** Real ms to wait after a wake, so that a burst of events makes one pass. */
  settleMs: number;
  /** Resolves to true to run again at once. */
  pass(): Promise<boolean>;
  onError(error: unknown): void;
}

const longestRetryMs = 60_000;

export function startLoop({ clock, intervalMs, settleMs, pass, onError }: LoopOptions): Loop {
  const stopped = new AbortController();
  let woken = new AbortController();
  let failures = 0;

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      let again = false;
      try {
        again = await pass();
        failures = 0;
      } catch (error) {
        onError(error);
        failures += 1;
      }
      if (failures > 0) {
        await clock.sleep(Math.min(longestRetryMs, (intervalMs / 8) * 2 ** (failures - 1)), stopped.signal);
      } else if (!again) await clock.sleep(intervalMs, AbortSignal.any([woken.signal, stopped.signal]));
      if (stopped.signal.aborted) return;
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      woken = new AbortController();
    }
  }

  // Not before the caller has the loop in hand.
  const running = Promise.resolve().then(run);
  return {
    wake: () => woken.abort(),
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
