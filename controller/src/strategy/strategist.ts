// Asks the owner's strategy once per pass, and never keeps a pass waiting for long: whatever goes wrong with it, the default decides,
// somebody hears of it, and it is tried again later or as soon as the file changes.

import { type Advice, adviceOf, defaultStrategy, noAdvice, type Question } from '../domain/advice.ts';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { StrategyFile } from '../domain/ports.ts';
import { type Child, limits as defaultLimits, type Limits, startChild } from './child.ts';

export type StrategyOutcome = 'answered' | 'failed' | 'suspended';

export interface StrategistOptions {
  /** For the pauses after failures. */
  clock: Pick<Clock, 'now'>;
  limits?: Limits;
  /** Called for each pass that has a strategy. */
  onOutcome?(outcome: StrategyOutcome): void;
}

export interface Advised {
  advice: Advice;
  /** Why the default decides although there is a strategy; one sentence for people. */
  held: string | undefined;
}

export interface Strategist {
  /** Never rejects. Undefined when there is no strategy. */
  advise(file: StrategyFile | undefined, question: () => Question): Promise<Advised | undefined>;
  close(): void;
}

const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;

/** How commits and status name it. */
export function strategyName({ path, id }: StrategyFile): string {
  return `${path} ${id.slice(0, 8)}`;
}

export function createStrategist({ clock, limits = defaultLimits, onOutcome }: StrategistOptions): Strategist {
  let known: string | undefined;
  let child: Child | undefined;
  let failure: { because: string; count: number; until: number } | undefined;

  function forget(): void {
    child?.close();
    child = undefined;
    failure = undefined;
    known = undefined;
  }

  function insteadOf(file: StrategyFile, because: string): Advised {
    const name = strategyName(file);
    return {
      advice: noAdvice(`${defaultStrategy} instead of ${name}`),
      held: `${name} cannot be used, the default strategy decides: ${because}`,
    };
  }

  return {
    async advise(file, question) {
      if (file?.id !== known) forget();
      if (!file) return undefined;
      known = file.id;
      if (failure && clock.now() < failure.until) {
        onOutcome?.('suspended');
        return insteadOf(file, failure.because);
      }
      try {
        child ??= await startChild(file.text, limits);
        const answer = await child.ask(question());
        failure = undefined;
        onOutcome?.('answered');
        return { advice: adviceOf(answer, strategyName(file)), held: undefined };
      } catch (error) {
        child?.close();
        child = undefined;
        const count = (failure?.count ?? 0) + 1;
        const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (count - 1));
        failure = { because: messageOf(error), count, until: clock.now() + pause };
        onOutcome?.('failed');
        return insteadOf(file, failure.because);
      }
    },
    close: forget,
  };
}
