// Steps of a verification, one after the other, each written down before it begins. A step may have been begun before by a process that is
// gone, so each does the same when it is done twice; what it leaves behind can be undone from what is written down alone.

import { MinerError, messageOf } from '../domain/errors.ts';
import type { ValidatorClient } from '../domain/ports.ts';
import type { Verification, VerificationFacts } from '../domain/verification.ts';
import type { NodeDeps, Progress } from './deps.ts';

export interface Run {
  record: Verification;
  /** Throws E-USAGE when it is not configured any more. */
  validator(): ValidatorClient;
  deps: NodeDeps;
  progress: Progress;
  signal: AbortSignal;
}

export interface Step {
  name: string;
  run(run: Run): Promise<void>;
  /** Take back what the step made; also called when it was only begun. */
  undo?: { what: string; run(run: Run): Promise<unknown> };
}

export function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new MinerError('E-VERIFICATION', 'adding the node was stopped');
}

/** Add to what is known, and write it down. */
export async function note({ record, deps }: Run, facts: VerificationFacts): Promise<void> {
  Object.assign(record.facts, facts);
  await deps.store.saveVerification(record);
}

/** What an earlier step of the same verification found out. */
export function factOf<K extends keyof VerificationFacts>({ record }: Run, key: K): NonNullable<VerificationFacts[K]> {
  const value = record.facts[key];
  if (value === undefined || value === null) throw new TypeError(`step ${record.step} knows no ${key}`);
  return value;
}

/** From the step that was begun last. Rejects with the first failure. */
export async function runSteps(steps: readonly Step[], run: Run): Promise<void> {
  const { record, deps, signal } = run;
  const from = Math.max(
    0,
    steps.findIndex(({ name }) => name === record.step),
  );
  for (const step of steps.slice(from)) {
    stopIfAborted(signal);
    record.step = step.name;
    await deps.store.saveVerification(record);
    await step.run(run);
  }
}

/** Undo what was begun, last first; returns what could not be undone, with the reason. */
export async function undoSteps(steps: readonly Step[], run: Run): Promise<string[]> {
  const begun = steps.slice(0, steps.findIndex(({ name }) => name === run.record.step) + 1);
  const left: string[] = [];
  for (const { undo } of begun.reverse()) {
    if (!undo) continue;
    // One that fails does not keep the others from being tried.
    await undo.run(run).catch((error: unknown) => left.push(`${undo.what}: ${messageOf(error)}`));
  }
  return left;
}
