// Deadlines on a clock: one per key, replaced when set again. What is due runs once; nothing is kept over a restart, the caller
// knows its deadlines and sets them anew.

import type { Clock } from '@miner/controller/domain/clock.ts';

export interface Deadlines {
  /** Run `action` when the clock shows `at` (ms) or later, never before this call returns. */
  set(key: string, at: number, action: () => void | Promise<void>): void;
  cancel(key: string): void;
  cancelAll(): void;
}

/** `onError` hears of actions that throw or reject. */
export function createDeadlines(clock: Clock, onError: (key: string, error: unknown) => void): Deadlines {
  const waiting = new Map<string, AbortController>();

  async function wait(key: string, at: number, action: () => void | Promise<void>, gate: AbortController) {
    await clock.sleep(Math.max(0, at - clock.now()), gate.signal);
    if (gate.signal.aborted) return;
    waiting.delete(key);
    try {
      await action();
    } catch (error) {
      onError(key, error);
    }
  }

  function cancel(key: string): void {
    waiting.get(key)?.abort();
    waiting.delete(key);
  }

  return {
    set(key, at, action) {
      cancel(key);
      const gate = new AbortController();
      waiting.set(key, gate);
      void wait(key, at, action, gate);
    },
    cancel,
    cancelAll() {
      for (const key of [...waiting.keys()]) cancel(key);
    },
  };
}
