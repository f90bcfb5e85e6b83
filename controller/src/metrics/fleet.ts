// Counts of what there is: deployments by state, GPUs by model and state. Pure.

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
