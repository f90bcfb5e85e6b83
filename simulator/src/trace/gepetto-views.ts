// Servers, deployments, chutes and rentals of a trace snapshot in the planner's words. Times become ms since a day before the trace, because
// the planner's clock has no negative past.

import type { Chute } from '@miner/controller/domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '@miner/controller/domain/deployment.ts';
import { lifecycleOf } from '@miner/controller/domain/lifecycle.ts';
import type { RemoteInstance } from '@miner/controller/domain/ports.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { atLeast } from '@miner/controller/domain/version.ts';
import type { ChuteMarket, JobOffer, SiteFacts } from '@miner/controller/gepetto/world.ts';
import type { ChuteView, DeploymentView, ServerView, Snapshot } from './protocol.ts';

const dayMs = 86_400_000;

/** A time of the trace, in seconds, as the planner's clock shows it. */
export function clockMs(seconds: number): number {
  return dayMs + Math.round(seconds * 1000);
}

export function gpuIdsOf({ free_gpu_ids, draining, deployments }: ServerView): string[] {
  return [...free_gpu_ids, ...draining.map(({ gpu_id }) => gpu_id), ...deployments.flatMap(({ gpu_ids }) => gpu_ids)];
}

export function serverOf(view: ServerView, ids: readonly string[]): Server {
  return {
    serverId: view.server_id,
    name: view.name,
    validator: view.validator,
    ip: view.ip,
    agentApi: undefined,
    gpuShortRef: view.gpu_short_ref,
    gpus: ids.map((gpuId) => ({
      gpuId,
      model: view.gpu_short_ref,
      verified: true,
      deviceInfo: { uuid: gpuId, name: view.gpu_short_ref, memory: 0, clock_rate: 0 },
    })),
    cpuPerGpu: 1,
    memoryPerGpu: 1,
    diskGb: view.disk_gb,
    hourlyCost: view.hourly_cost,
    locked: view.locked,
    tee: view.is_tee,
    seed: undefined,
    verificationPort: undefined,
    createdAt: 0,
  };
}

export function specOf(view: DeploymentView, server: ServerView, chuteName: string): DeploymentSpec {
  return {
    deploymentId: view.deployment_id,
    chuteId: view.chute_id,
    chuteName,
    version: view.version,
    validator: server.validator,
    server: server.name,
    gpuIds: view.gpu_ids,
    ports: [],
    configId: view.deployment_id,
    jobId: view.job_id ?? undefined,
    diskGb: view.disk_gb,
    preemptible: view.preemptible,
    decisionId: view.deployment_id,
    reason: view.job_id === null ? 'scale-up' : 'job',
  };
}

export function rowOf(view: DeploymentView, spec: DeploymentSpec): DeploymentLifecycle {
  const planned = clockMs(view.created_at);
  const claimed = view.instance_created_at === null ? undefined : clockMs(view.instance_created_at);
  const activated = view.activated_at === null ? undefined : clockMs(view.activated_at);
  return {
    ...lifecycleOf(spec, planned),
    instanceId: claimed === undefined ? undefined : view.deployment_id,
    tokenAt: planned,
    secretAt: planned,
    committedAt: planned,
    runningAt: claimed,
    claimedAt: claimed,
    verifiedAt: activated,
    activatedAt: activated,
  };
}

export function podOf(spec: DeploymentSpec, createdAt: number): ObservedPod {
  return {
    server: spec.server,
    podName: spec.deploymentId,
    deploymentId: spec.deploymentId,
    configId: spec.configId,
    gpuIds: spec.gpuIds,
    nodePorts: [],
    phase: 'Running',
    ready: true,
    terminating: false,
    detail: undefined,
    createdAt,
  };
}

export function instanceOf(row: DeploymentLifecycle, { compute_multiplier }: DeploymentView): RemoteInstance {
  return {
    instanceId: row.deploymentId,
    chuteId: row.chuteId,
    version: row.version,
    configId: row.configId,
    active: row.activatedAt !== undefined,
    verifiedAt: row.verifiedAt,
    activatedAt: row.activatedAt,
    computeMultiplier: compute_multiplier ?? undefined,
  };
}

export function chuteOf(view: ChuteView, validator: string): Chute {
  return {
    chuteId: view.chute_id,
    validator,
    name: view.name,
    version: view.version,
    image: view.image,
    refStr: 'app:chute',
    filename: 'app.py',
    code: undefined,
    // In a trace every deploy asks for a token, also those of libraries that would announce themselves.
    chutesVersion: atLeast(view.chutes_version, '0.3.0') ? (view.chutes_version ?? undefined) : '0.3.0',
    supportedGpus: view.supported_gpus,
    gpuCount: view.gpu_count,
    tee: view.tee,
    preemptible: view.preemptible,
    disabled: view.disabled,
    jobOnly: view.job_only,
    jobPorts: [],
    effectiveComputeMultiplier: view.effective_compute_multiplier,
    bounty: view.bounty?.amount ?? 0,
  };
}

export function marketOf(view: ChuteView): ChuteMarket {
  return {
    runMultiplier: view.run_multiplier,
    urgency: view.factors.urgency,
    ...(view.bounty ? { bountyOpenedAt: clockMs(view.bounty.opened_at) } : {}),
    activeTotal: view.active_total,
    modelKey: view.model_key,
    modelGb: view.model_gb,
    imageGb: view.image_gb,
    warmupMs: view.warmup_s * 1000,
  };
}

export function factsOf(view: ServerView): SiteFacts {
  return {
    ...(view.leaving_at === null ? {} : { leavingAt: clockMs(view.leaving_at) }),
    netMbps: view.net_mbps,
    diskReadGbps: view.disk_read_gbps,
    models: new Set(view.cached_models),
    images: new Set(view.cached_images),
  };
}

export function jobOf(view: Snapshot['jobs'][number]): JobOffer {
  return {
    jobId: view.job_id,
    chuteId: view.chute_id,
    gpuCount: view.gpu_count,
    computeMultiplier: view.compute_multiplier,
    diskGb: view.disk_gb ?? 10,
    excluded: view.exclude,
    attempted: view.attempted,
  };
}
