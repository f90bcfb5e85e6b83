// The start of a deployment's lifecycle row; what happens later only ever fills in times and ids.

import type { DeploymentLifecycle, DeploymentSpec } from './deployment.ts';

/** The row of a deployment that was planned at `plannedAt` (ms since the Unix epoch). */
export function lifecycleOf(spec: DeploymentSpec, plannedAt: number): DeploymentLifecycle {
  return {
    deploymentId: spec.deploymentId,
    chuteId: spec.chuteId,
    version: spec.version,
    validator: spec.validator,
    server: spec.server,
    configId: spec.configId,
    instanceId: undefined,
    jobId: spec.jobId,
    gpuIds: spec.gpuIds,
    nodePorts: spec.ports.map((mapping) => mapping.nodePort),
    plannedAt,
    tokenAt: undefined,
    secretAt: undefined,
    committedAt: undefined,
    runningAt: undefined,
    claimedAt: undefined,
    verifiedAt: undefined,
    activatedAt: undefined,
    instanceGoneAt: undefined,
    undeployAt: undefined,
    removedAt: undefined,
    goneAt: undefined,
  };
}
