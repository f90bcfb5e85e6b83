// Runs passes one after the other: at once when woken, and every `intervalMs` as the safety net. Wakes during a pass are coalesced.

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

export function startLoop({ clock, intervalMs, settleMs, pass, onError }: LoopOptions): Loop {
  const stopped = new AbortController();
  let woken = new AbortController();

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      let again = false;
      try {
        again = await pass();
      } catch (error) {
        onError(error);
      }
      if (!again) await clock.sleep(intervalMs, AbortSignal.any([woken.signal, stopped.signal]));
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
