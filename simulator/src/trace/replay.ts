// Plays a trace against a strategy: a snapshot at each tick at which something visible changed, or 300 s after the last one, and the
// answer applied at that tick (trace format, section 3).

import { applyAnswer } from './actions.ts';
import type { Trace } from './format.ts';
import { createEngine, resultOf, type TraceResult } from './market.ts';
import type { ActionResult, Snapshot, TraceStrategy } from './protocol.ts';
import { createObserver, tickSeconds } from './snapshot.ts';
import type { Market } from './state.ts';

const longestSilence = 300;

export interface Replay {
  /** Goes to the next tick that is sent; null when the trace is over. */
  next(): Snapshot | null;
  /** Applies the answer to the last snapshot; anything but a list of actions is a violation. Leave out for `[]`. */
  answer(actions: unknown): void;
  /** Of the whole trace; call once, after `next` returned null. */
  result(): TraceResult;
  /** For tests and reports: read only. */
  readonly market: Readonly<Market>;
}

export function createReplay(trace: Trace): Replay {
  const { market, advance } = createEngine(trace);
  const observer = createObserver();
  const end = trace.fleet.duration_s;
  let results: ActionResult[] = [];
  let tick = 0;
  let lastSent = Number.NEGATIVE_INFINITY;

  return {
    market,
    next() {
      for (; tick < end; tick += tickSeconds) {
        advance(tick);
        if (!market.changed && tick - lastSent < longestSilence) continue;
        market.changed = false;
        lastSent = tick;
        tick += tickSeconds;
        const told = results;
        results = [];
        return observer.look(market, told);
      }
      advance(end, true);
      return null;
    },
    answer(actions) {
      results = applyAnswer(market, actions);
      // What the strategy did itself changes the market's flag too; results alone are a reason to ask again.
      if (results.length > 0) market.changed = true;
    },
    result: () => resultOf(market),
  };
}

/** Plays the whole trace with a strategy in this process. */
export function replay(trace: Trace, strategy: TraceStrategy): TraceResult {
  const run = createReplay(trace);
  for (let snapshot = run.next(); snapshot; snapshot = run.next()) run.answer(strategy.act(snapshot));
  return run.result();
}
