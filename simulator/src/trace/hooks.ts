// The production planner with a strategy of the owner's: the same process, question and limits as in production, asked once per tick.

import { adviceOf } from '@miner/controller/domain/advice.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import { questionOf } from '@miner/controller/gepetto/question.ts';
import { type Child, startChild } from '@miner/controller/strategy/child.ts';
import type { Trace } from './format.ts';
import { createGepetto } from './gepetto.ts';
import { clockMs } from './gepetto-views.ts';
import type { TraceResult } from './market.ts';
import type { Action, Snapshot } from './protocol.ts';
import { createReplay } from './replay.ts';

export interface HookedStrategy {
  act(snapshot: Snapshot): Promise<Action[]>;
  close(): void;
}

function faulty(name: string, error: unknown): MinerError {
  return new MinerError('E-STRATEGY', `the strategy ${name} cannot be used: ${messageOf(error)}`, { cause: error });
}

/** `text` is that of a strategy.ts, `name` what messages call it. Rejects with E-STRATEGY: here nothing stands in for it. */
export async function startHooked(text: string, name: string, seed: number): Promise<HookedStrategy> {
  let child: Child;
  try {
    child = await startChild(text);
  } catch (error) {
    throw faulty(name, error);
  }
  const gepetto = createGepetto(seed);
  return {
    async act(snapshot) {
      const world = gepetto.look(snapshot);
      try {
        const answer = await child.ask(questionOf(world, clockMs(snapshot.now)));
        return gepetto.decide(world, snapshot, adviceOf(answer, name));
      } catch (error) {
        throw faulty(name, error);
      }
    },
    close: child.close,
  };
}

/** Plays the whole trace. Rejects with E-STRATEGY as soon as the strategy fails. */
export async function replayHooked(trace: Trace, text: string, name: string, seed: number): Promise<TraceResult> {
  const strategy = await startHooked(text, name, seed);
  const run = createReplay(trace);
  try {
    for (let snapshot = run.next(); snapshot; snapshot = run.next()) run.answer(await strategy.act(snapshot));
  } finally {
    strategy.close();
  }
  return run.result();
}
