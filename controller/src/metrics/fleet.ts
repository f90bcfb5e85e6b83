// Figures of what there is: deployments by state, GPUs by model and state, what they cost, how long launches take. Pure but for the steps
// that were told already.

import type { DeploymentLifecycle } from '../domain/deployment.ts';
import { type DeploymentPhase, phaseOf } from '../domain/phase.ts';
import type { Server } from '../domain/server.ts';

export const deploymentStates = [
  'planned',
  'committed',
  'running',
  'claimed',
  'verified',
  'active',
  'draining',
] as const satisfies readonly DeploymentPhase[];

export type GpuState = 'unverified' | 'free' | 'reserved' | 'running' | 'draining';

/** What is gone is not counted; a state without deployments counts 0. */
export function countDeployments(rows: readonly DeploymentLifecycle[]): Map<string, number> {
  const counts = new Map<string, number>(deploymentStates.map((state) => [state, 0]));
  for (const row of rows) {
    const phase = phaseOf(row);
    if (phase !== 'gone') counts.set(phase, (counts.get(phase) ?? 0) + 1);
  }
  return counts;
}

/** A GPU is held from the plan until the last pod is gone. */
function stateOf(verified: boolean, phase: DeploymentPhase | undefined): GpuState {
  if (phase === undefined) return verified ? 'free' : 'unverified';
  if (phase === 'draining') return 'draining';
  return phase === 'planned' || phase === 'committed' ? 'reserved' : 'running';
}

export interface GpuCount {
  model: string;
  state: GpuState;
  count: number;
}

export function countGpus(servers: readonly Server[], rows: readonly DeploymentLifecycle[]): GpuCount[] {
  const phases = new Map<string, DeploymentPhase>();
  for (const row of rows) {
    const phase = phaseOf(row);
    if (phase !== 'gone') for (const gpuId of row.gpuIds) phases.set(gpuId, phase);
  }
  const counts = new Map<string, GpuCount>();
  for (const { gpus } of servers) {
    for (const { gpuId, model, verified } of gpus) {
      const state = stateOf(verified, phases.get(gpuId));
      const found = counts.get(`${model} ${state}`) ?? { model, state, count: 0 };
      counts.set(`${model} ${state}`, { ...found, count: found.count + 1 });
    }
  }
  return [...counts.values()];
}

/** USD per hour: of all GPUs, and of those that deployments hold. */
export function costs(servers: readonly Server[], rows: readonly DeploymentLifecycle[]): { all: number; held: number } {
  const taken = new Set(rows.flatMap((row) => (phaseOf(row) === 'gone' ? [] : row.gpuIds)));
  let all = 0;
  let held = 0;
  for (const { gpus, hourlyCost } of servers) {
    all += gpus.length * hourlyCost;
    held += gpus.filter(({ gpuId }) => taken.has(gpuId)).length * hourlyCost;
  }
  return { all, held };
}

/** Of deployments that are meant to become active and never were; 0 without any. */
export function oldestLaunchMs(rows: readonly DeploymentLifecycle[], now: number): number {
  const waiting = rows.filter((row) => row.activatedAt === undefined && row.removedAt === undefined);
  const planned = waiting.filter((row) => row.goneAt === undefined).map(({ plannedAt }) => plannedAt);
  return planned.reduce((oldest, at) => Math.max(oldest, now - at), 0);
}

export interface StepTaken {
  step: 'committed' | 'running' | 'active';
  /** Since the plan. */
  ms: number;
}

const steps = [
  ['committed', 'committedAt'],
  ['running', 'runningAt'],
  ['active', 'activatedAt'],
] as const;

/** Each step that was taken at `startedAt` (ms) or later, once, when it is first seen. */
export function createSteps(startedAt: number): (rows: readonly DeploymentLifecycle[]) => StepTaken[] {
  let known = new Set<string>();
  return (rows) => {
    const seen = new Set<string>();
    const taken: StepTaken[] = [];
    for (const row of rows)
      for (const [step, field] of steps) {
        const at = row[field];
        if (at === undefined || at < startedAt) continue;
        const key = `${row.deploymentId} ${step}`;
        seen.add(key);
        if (!known.has(key)) taken.push({ step, ms: Math.max(0, at - row.plannedAt) });
      }
    known = seen;
    return taken;
  };
}
