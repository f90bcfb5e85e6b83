// One verification from its first step, or from where a process before this one stopped, to its end: verified, or undone. What is written
// down goes away with it.

import { MinerError, messageOf } from '../domain/errors.ts';
import type { Verification } from '../domain/verification.ts';
import { attach, validatorOf } from './checks.ts';
import type { NodeDeps, Progress } from './deps.ts';
import { type Run, runSteps, stopIfAborted, undoSteps } from './sequence.ts';
import { stepsOf } from './strategies.ts';

/** How long a verification that was cut off is tried to be taken up, counted from its beginning. */
const takeUpMs = 1_800_000;
const takeUpPauseMs = 15_000;

interface Work {
  record: Verification;
  deps: NodeDeps;
  progress: Progress;
  signal: AbortSignal;
}

function runOf(work: Work): Run {
  return { ...work, validator: () => validatorOf(work.record.request.validator, work.deps) };
}

function asMinerError(error: unknown): MinerError {
  if (error instanceof MinerError) return error;
  return new MinerError('E-VERIFICATION', `unexpected: ${messageOf(error)}`, { cause: error });
}

async function undo({ record, deps, progress }: Work): Promise<void> {
  const { name, kind } = record;
  // Undoing is not stopped by whoever stopped the work.
  const { signal } = new AbortController();
  const left = await undoSteps(stepsOf(record), runOf({ record, deps, progress, signal }));
  if (kind !== 'again') {
    await deps.members.remove(name).catch((error: unknown) => left.push(`forget the cluster: ${messageOf(error)}`));
  }
  if (left.length > 0) deps.log.warn({ server: name, left }, 'not everything could be undone');
}

/** Best effort: the database may be what failed. */
async function writeDown(work: Work, what: () => Promise<void>): Promise<void> {
  await what().catch((error: unknown) => {
    work.deps.log.warn(
      { server: work.record.name, reason: messageOf(error) },
      'the verification cannot be written down',
    );
  });
}

async function fail(work: Work, error: unknown): Promise<never> {
  const { record, deps, progress } = work;
  const { store, log } = deps;
  const { name, kind } = record;
  const known = asMinerError(error);
  record.failure = { code: known.code, message: known.message };
  await writeDown(work, () => store.saveVerification(record));
  await undo(work);
  if (kind === 'again') {
    const cordoned = `the GPUs could not be verified again: ${known.message}`;
    await writeDown(work, () => store.updateServer(name, { cordoned }));
  }
  await writeDown(work, () => store.endVerification(name));
  log.warn({ server: name, code: known.code, reason: known.message }, 'GPUs not verified');
  progress(`FAILED: ${known.code} ${known.message}`);
  throw known;
}

/** Resolves when the GPUs are verified. When it rejects, what the record says was begun is undone. */
export async function verify(work: Work): Promise<void> {
  const { record, deps, progress } = work;
  const { name, kind } = record;
  try {
    await runSteps(stepsOf(record), runOf(work));
  } catch (error) {
    await fail(work, error);
  }
  // What stays written down is done once more by the next process, to the same end.
  await writeDown(work, () => deps.store.endVerification(name));
  const seconds = Math.round((deps.clock.now() - record.startedAt) / 1000);
  deps.log.info({ server: name, seconds }, kind === 'again' ? 'GPUs verified again' : 'server added');
  progress(`completed server bootstrapping in ${seconds} seconds!`);
}

/** Its cluster is reached through its agent, which may be away for a while, as after a power cut. */
async function reach({ record, deps, signal }: Work): Promise<void> {
  const { name } = record;
  for (;;) {
    try {
      await attach(record.request, deps);
      const { uid } = await deps.members.node(name);
      if (uid === record.node.uid) return;
      throw new MinerError('E-NODE', `node ${name} is another one than the one that was being added`);
    } catch (error) {
      const over = deps.clock.now() - record.startedAt >= takeUpMs;
      if (over || (error instanceof MinerError && error.code === 'E-NODE')) throw error;
    }
    await deps.clock.sleep(takeUpPauseMs, signal);
    stopIfAborted(signal);
  }
}

/** Go on with what a process before this one began, or undo it when that one was about to. Rejects like `verify`. */
export async function takeUp(work: Work): Promise<void> {
  const { record, deps } = work;
  deps.log.info({ server: record.name, step: record.step }, 'a verification that was cut off is taken up');
  try {
    await reach(work);
  } catch (error) {
    return fail(work, error);
  }
  if (!record.failure) return verify(work);
  const { message } = record.failure;
  return fail(work, new MinerError('E-VERIFICATION', message));
}
