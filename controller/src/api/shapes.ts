// The JSON of servers, GPUs and deployments as operators' tools expect it (protocol.md 4.1.1): snake_case columns, ISO times with an
// offset. Left out on purpose: kubeconfig and chute code.

import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle, MemberHealth } from '../domain/deployment.ts';
import type { StoredDecision } from '../domain/ports.ts';
import type { Gpu, Server } from '../domain/server.ts';
import { exact } from './json.ts';

/** What the shapes are made from, read at one moment. */
export interface Inventory {
  /** Sorted by name. */
  servers: readonly Server[];
  byName: ReadonlyMap<string, Server>;
  /** Those still wanted: neither removed nor gone. */
  deployments: readonly DeploymentLifecycle[];
  /** The same by name of the server. */
  onServer: ReadonlyMap<string, readonly DeploymentLifecycle[]>;
  chutes: ReadonlyMap<string, Chute>;
  health: ReadonlyMap<string, MemberHealth>;
  /** Deployment id that holds a GPU, by GPU id; a GPU is held until the pod is gone. */
  holders: ReadonlyMap<string, string>;
}

const healthNames = {
  healthy: 'Ready',
  unhealthy: 'NotReady',
  unknown: 'Unknown',
} as const satisfies Record<MemberHealth['state'], string>;

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '+00:00');
}

function isoTimeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : isoTime(ms);
}

function gpuShape(gpu: Gpu, server: Server, { holders }: Inventory) {
  return {
    gpu_id: gpu.gpuId,
    validator: server.validator,
    server_id: server.serverId,
    deployment_id: holders.get(gpu.gpuId) ?? null,
    device_info: gpu.deviceInfo,
    model_short_ref: gpu.model,
    verified: gpu.verified,
  };
}

/** A chute the store no longer knows is shown with the little that is certain. */
function chuteShape(row: DeploymentLifecycle, chute: Chute | undefined) {
  return {
    chute_id: row.chuteId,
    validator: row.validator,
    name: chute?.name ?? row.chuteId,
    image: chute?.image ?? null,
    filename: chute?.filename ?? null,
    ref_str: chute?.refStr ?? null,
    version: chute?.version ?? row.version,
    chutes_version: chute?.chutesVersion ?? null,
    supported_gpus: chute?.supportedGpus ?? [],
    gpu_count: chute?.gpuCount ?? row.gpuIds.length,
    preemptible: chute?.preemptible ?? true,
    tee: chute?.tee ?? false,
    ban_reason: null,
  };
}

export function deploymentShape(row: DeploymentLifecycle, inventory: Inventory) {
  const server = inventory.byName.get(row.server);
  const chute = inventory.chutes.get(row.chuteId);
  const gpus = server?.gpus.filter(({ gpuId }) => row.gpuIds.includes(gpuId)) ?? [];
  return {
    deployment_id: row.deploymentId,
    instance_id: row.instanceId ?? null,
    validator: row.validator,
    host: server?.ip ?? null,
    port: row.nodePorts[0] ?? null,
    chute_id: row.chuteId,
    server_id: server?.serverId ?? null,
    version: row.version,
    active: row.activatedAt !== undefined,
    verified_at: isoTimeOrNull(row.verifiedAt),
    activated_at: isoTimeOrNull(row.activatedAt),
    stub: row.committedAt === undefined,
    job_id: row.jobId ?? null,
    config_id: row.configId ?? null,
    created_at: isoTime(row.plannedAt),
    preemptible: row.jobId === undefined && (chute?.preemptible ?? true),
    gpus: server ? gpus.map((gpu) => gpuShape(gpu, server, inventory)) : [],
    chute: chuteShape(row, chute),
  };
}

export function serverShape(server: Server, inventory: Inventory) {
  const deployments = inventory.onServer.get(server.name) ?? [];
  return {
    server_id: server.serverId,
    validator: server.validator,
    name: server.name,
    ip_address: server.ip,
    agent_api: server.agentApi ?? null,
    verification_port: server.verificationPort ?? null,
    status: healthNames[inventory.health.get(server.name)?.state ?? 'unknown'],
    created_at: isoTime(server.createdAt),
    labels: {
      'chutes/external-ip': server.ip,
      'chutes/validator': server.validator,
      'chutes/worker': 'true',
      'gpu-short-ref': server.gpuShortRef,
    },
    seed: server.seed === undefined ? null : exact(server.seed),
    gpu_count: server.gpus.length,
    cpu_per_gpu: server.cpuPerGpu,
    memory_per_gpu: server.memoryPerGpu,
    hourly_cost: server.hourlyCost,
    locked: server.locked,
    is_tee: server.tee,
    gpus: server.gpus.map((gpu) => gpuShape(gpu, server, inventory)),
    deployments: deployments.map((row) => deploymentShape(row, inventory)),
  };
}

/** A row of what a purge took. */
export function purgeShape(row: DeploymentLifecycle, { byName, chutes }: Inventory) {
  return {
    chute_id: row.chuteId,
    chute_name: chutes.get(row.chuteId)?.name ?? row.chuteId,
    server_id: byName.get(row.server)?.serverId ?? null,
    server_name: row.server,
    gpu_count: row.gpuIds.length,
  };
}

/** Numbers that JSON does not know go out as null. */
export function decisionShape({ decisionId, decidedAt, decision, commit }: StoredDecision) {
  const { spec } = decision;
  const deploys = decision.kind === 'deploy';
  return {
    decision_id: decisionId,
    decided_at: isoTime(decidedAt),
    kind: decision.kind,
    reason: deploys ? spec.reason : decision.reason,
    because: deploys ? null : decision.because,
    deployment_id: spec.deploymentId,
    chute_id: spec.chuteId,
    chute_name: spec.chuteName,
    version: spec.version,
    validator: spec.validator,
    server: spec.server,
    job_id: spec.jobId ?? null,
    gpu_ids: spec.gpuIds,
    replicas_before: deploys ? decision.replicasBefore : null,
    numbers: decision.numbers ?? {},
    alternatives: (deploys ? decision.alternatives : []).map(({ chuteName, server, value, because }) => ({
      chute_name: chuteName,
      server,
      value,
      because,
    })),
    strategy: (deploys ? decision.strategy : undefined) ?? null,
    commit: commit ?? null,
  };
}
