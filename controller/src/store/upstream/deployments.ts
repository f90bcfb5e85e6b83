// Upstream's deployments as lifecycle rows, and its audit trail. Only times that were stored are taken over; that a Job was made is
// known from the row itself, which upstream drops together with it.

import type { Chute } from '../../domain/chute.ts';
import type { DeploymentLifecycle } from '../../domain/deployment.ts';
import type { AuditRow } from '../../domain/ports.ts';
import type { Server } from '../../domain/server.ts';
import type { Findings } from './findings.ts';
import { auditRow, type DeploymentRow, deploymentRow } from './shapes.ts';
import type { UpstreamRows } from './source.ts';

interface Holder {
  serverId: string;
  gpuIds: string[];
}

/** GPU ids by deployment. A row that does not fit was reported already; its deployment then lacks a GPU. */
function holders(source: UpstreamRows, servers: readonly Server[]): Map<string, Holder[]> {
  const known = new Map(servers.flatMap(({ serverId, gpus }) => gpus.map(({ gpuId }) => [gpuId, serverId] as const)));
  const held = new Map<string, Holder[]>();
  for (const raw of source.gpus) {
    const { gpu_id: gpuId, deployment_id: deploymentId } = raw as Record<string, unknown>;
    if (typeof gpuId !== 'string' || typeof deploymentId !== 'string') continue;
    const serverId = known.get(gpuId) ?? '';
    const list = held.get(deploymentId) ?? [];
    const holder = list.find((one) => one.serverId === serverId);
    if (holder) holder.gpuIds.push(gpuId);
    else list.push({ serverId, gpuIds: [gpuId] });
    held.set(deploymentId, list);
  }
  return held;
}

/** Why it cannot be taken over; undefined when it can. */
function obstacle(row: DeploymentRow, server: Server | undefined, held: readonly Holder[]): string | undefined {
  if (!server) return 'its server was left';
  if (row.stub) return 'a stub: its launch was not finished';
  if (held.length === 0) return 'it holds no GPU';
  if (held.some((holder) => holder.serverId === '')) return 'a GPU that it holds was left';
  if (held.some((holder) => holder.serverId !== server.serverId)) return 'it holds a GPU of another server';
  return undefined;
}

function toLifecycle(row: DeploymentRow, server: Server, gpuIds: readonly string[], now: number): DeploymentLifecycle {
  const plannedAt = row.created_at ?? now;
  const verifiedAt = row.verified_at ?? undefined;
  const activatedAt = row.activated_at ?? (row.active ? (verifiedAt ?? plannedAt) : undefined);
  return {
    deploymentId: row.deployment_id,
    chuteId: row.chute_id,
    version: row.version,
    validator: row.validator,
    server: server.name,
    configId: row.config_id ?? undefined,
    instanceId: row.instance_id ?? undefined,
    jobId: row.job_id ?? undefined,
    gpuIds: [...gpuIds].sort(),
    nodePorts: row.port ? [row.port] : [],
    plannedAt,
    tokenAt: undefined,
    secretAt: undefined,
    // Only a row that was in force once is kept from sudden removal together with many others.
    committedAt: plannedAt,
    runningAt: undefined,
    // Upstream does not store when an instance was linked; it was not later than this.
    claimedAt: row.instance_id ? (verifiedAt ?? activatedAt ?? plannedAt) : undefined,
    verifiedAt,
    activatedAt,
    instanceGoneAt: undefined,
    undeployAt: undefined,
    removedAt: undefined,
    goneAt: undefined,
  };
}

export function importDeployments(
  source: UpstreamRows,
  servers: readonly Server[],
  chutes: readonly Chute[],
  now: number,
  findings: Findings,
): DeploymentLifecycle[] {
  const held = holders(source, servers);
  const serverOf = new Map(servers.map((server) => [server.serverId, server]));
  const gpuCounts = new Map(chutes.map((chute) => [chute.chuteId, chute.gpuCount]));
  const taken: DeploymentLifecycle[] = [];
  for (const raw of source.deployments) {
    const row = findings.read('deployment', deploymentRow, raw);
    if (!row) continue;
    const server = serverOf.get(row.server_id);
    const of = held.get(row.deployment_id) ?? [];
    const why = obstacle(row, server, of);
    if (!server || why !== undefined) {
      findings.left('deployment', row.deployment_id, why ?? '');
      continue;
    }
    const gpuIds = of.flatMap((holder) => holder.gpuIds);
    const wanted = gpuCounts.get(row.chute_id);
    if (wanted !== undefined && wanted !== gpuIds.length)
      findings.note('deployment', row.deployment_id, `it holds ${gpuIds.length} GPUs, its chute asks for ${wanted}`);
    if (!row.port) findings.note('deployment', row.deployment_id, 'its node port is not known');
    taken.push(toLifecycle(row, server, gpuIds, now));
  }
  return taken;
}

/** Entries of deployments that are not taken end with the import: nobody would ever end them later. */
export function importAudit(
  source: UpstreamRows,
  lifecycles: readonly DeploymentLifecycle[],
  now: number,
  findings: Findings,
): AuditRow[] {
  const alive = new Set(lifecycles.map((row) => row.deploymentId));
  const taken: AuditRow[] = [];
  for (const raw of source.audit) {
    const row = findings.read('audit entry', auditRow, raw);
    if (!row) continue;
    const open = row.deleted_at == null && !alive.has(row.deployment_id);
    if (open) findings.note('audit entry', row.deployment_id, 'its deployment is not taken: it ends with the import');
    taken.push({
      deploymentId: row.deployment_id,
      validator: row.validator,
      chuteId: row.chute_id,
      version: row.version,
      instanceId: row.instance_id ?? undefined,
      createdAt: row.created_at,
      verifiedAt: row.verified_at ?? undefined,
      deletedAt: row.deleted_at ?? (open ? now : undefined),
    });
  }
  return taken;
}
