// Time as an input. Everything that decides takes a Clock, so that tests choose the time and the demo can run faster than the world.

/** Milliseconds since the Unix epoch, as seen by the miner. */
export interface Clock {
  now(): number;
  /** Wait for `ms` milliseconds of this clock's time; ends early (without error) when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

function realSleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}

export const systemClock: Clock = { now: () => Date.now(), sleep: realSleep };

/**
 * A clock that runs `speed` times faster than the wall clock and agreed with it at `epoch` (ms since the Unix epoch).
 * Two processes with the same speed and epoch read the same time.
 */
export function scaledClock(speed: number, epoch: number): Clock {
  if (speed === 1) return systemClock;
  return {
    now: () => epoch + (Date.now() - epoch) * speed,
    sleep: (ms, signal) => realSleep(ms / speed, signal),
  };
}
