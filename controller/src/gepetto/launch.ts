// Asks for the launches of a pass and learns from each answer: which chute, job or server waits, and for how long (gepetto.md W11).

import type { Clock } from '../domain/clock.ts';
import type { DeployDecision } from '../domain/decision.ts';
import type { ControllerLink, LaunchRefused } from '../domain/ports.ts';
import type { PassMemory } from './swap.ts';
import { backOff, holdOff, pairKey } from './world.ts';

const unreachableRetryMs = 30_000;
/** Answers after which the job has had its only attempt (gepetto.md 6). */
const jobIsLost: ReadonlySet<number> = new Set([403, 404, 409]);

export interface LaunchPorts {
  clock: Pick<Clock, 'now'>;
  link: Pick<ControllerLink, 'launch'>;
}

export interface Launched {
  /** With their config ids, by deployment id. */
  granted: ReadonlyMap<string, DeployDecision>;
  refused: number;
  memory: PassMemory;
}

export async function launchAll(
  deploys: readonly DeployDecision[],
  ports: LaunchPorts,
  memory: PassMemory,
): Promise<Launched> {
  const outcomes = await ports.link.launch(deploys.map(({ spec }) => spec));
  const now = ports.clock.now();
  const granted = new Map<string, DeployDecision>();
  let known = memory;
  for (const [i, decision] of deploys.entries()) {
    const outcome = outcomes[i];
    const { deploymentId, jobId } = decision.spec;
    if (outcome?.granted) {
      granted.set(deploymentId, { ...decision, spec: { ...decision.spec, configId: outcome.configId } });
    } else known = learn(known, decision, outcome, now);
    const asked = outcome?.granted || jobIsLost.has(outcome?.status ?? 0);
    if (jobId !== undefined && asked) known = { ...known, attempted: new Set(known.attempted).add(jobId) };
  }
  return { granted, refused: deploys.length - granted.size, memory: known };
}

function learn(memory: PassMemory, { spec }: DeployDecision, outcome: LaunchRefused | undefined, now: number) {
  const { refusals, failures } = memory;
  const key = spec.jobId ?? spec.chuteId;
  if (outcome?.status === -1) {
    return { ...memory, failures: backOff(failures, pairKey(spec.chuteId, spec.server), now, outcome.detail) };
  }
  if (!outcome || outcome.status === 0 || outcome.status >= 500) {
    return { ...memory, refusals: holdOff(refusals, key, now + unreachableRetryMs, outcome?.detail ?? 'no answer') };
  }
  return { ...memory, refusals: backOff(refusals, key, now, `${outcome.status}: ${outcome.detail}`) };
}
