// Upstream's servers, GPUs and chutes in this program's words.

import { z } from 'zod';
import type { Chute } from '../../domain/chute.ts';
import { parseChute } from '../../domain/chute.ts';
import { type ServerConfig, serverConfig } from '../../domain/config.ts';
import type { Gpu, Server } from '../../domain/server.ts';
import { type Findings, whyNot } from './findings.ts';
import { chuteRow, type GpuRow, gpuRow, type ServerRow, serverRow } from './shapes.ts';
import type { UpstreamRows } from './source.ts';

/** Where the agent of a GPU server listens unless told otherwise (protocol.md 4.3). */
const agentPort = 32_000;
const largestSeed = 2n ** 63n - 1n;

export interface ImportedServer {
  server: Server;
  /** `servers/<name>.yaml` on branch `main`. */
  config: ServerConfig;
}

export interface InventoryOptions {
  /** GB of ephemeral storage of each server, which upstream asks the node for and does not store. */
  diskGb: number;
  /** Time of the import, ms: for rows without a time. */
  now: number;
}

function toGpu({ gpu_id: gpuId, model_short_ref: model, verified, device_info: info }: GpuRow): Gpu {
  return {
    gpuId,
    model,
    verified,
    deviceInfo: {
      uuid: info.uuid ?? gpuId,
      name: info.name,
      memory: info.memory,
      clock_rate: info.clock_rate,
      ...Object.fromEntries(Object.entries(info).filter(([, value]) => value !== null && value !== undefined)),
    },
  };
}

function labelOf(row: ServerRow, label: string): string | undefined {
  const value = row.labels?.[label];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function toServer(
  row: ServerRow,
  gpus: readonly Gpu[],
  { diskGb, now }: InventoryOptions,
  findings: Findings,
): ImportedServer | undefined {
  const { name } = row;
  const ip = row.ip_address ?? labelOf(row, 'chutes/external-ip');
  const gpuShortRef = labelOf(row, 'gpu-short-ref') ?? gpus[0]?.model;
  const lacks = [
    ...(ip === undefined ? ['no ip_address and no label chutes/external-ip'] : []),
    ...(gpuShortRef === undefined ? ['no GPU and no label gpu-short-ref'] : []),
    ...((row.seed ?? 0n) > largestSeed ? ['seed: must be below 2^63'] : []),
  ];
  const config = serverConfig.safeParse({
    name,
    validator: row.validator,
    hourlyCost: row.hourly_cost,
    gpuShortRef: gpuShortRef ?? 'none',
    agentApi: row.agent_api ?? `http://${ip}:${agentPort}`,
    locked: row.locked,
  });
  if (!config.success) lacks.push(whyNot(config.error));
  if (lacks.length > 0 || !config.success || ip === undefined || gpuShortRef === undefined) {
    findings.left('server', name, lacks.join('; '));
    return undefined;
  }
  if (!row.agent_api) findings.note('server', name, `agent_api is empty: ${config.data.agentApi} assumed`);
  if (gpus.length !== row.gpu_count)
    findings.note('server', name, `gpu_count is ${row.gpu_count}, but ${gpus.length} GPUs were taken`);
  const server: Server = {
    serverId: row.server_id,
    name,
    validator: row.validator,
    ip,
    agentApi: config.data.agentApi,
    gpuShortRef,
    gpus,
    cpuPerGpu: row.cpu_per_gpu,
    memoryPerGpu: row.memory_per_gpu,
    diskGb,
    hourlyCost: row.hourly_cost,
    locked: row.locked,
    tee: row.is_tee,
    seed: row.seed ?? undefined,
    verificationPort: row.verification_port ?? undefined,
    createdAt: row.created_at ?? now,
  };
  return { server, config: config.data };
}

/** Servers with their GPUs in the order of the ids: the device index is not stored upstream. */
export function importServers(source: UpstreamRows, options: InventoryOptions, findings: Findings): ImportedServer[] {
  const read = source.gpus.map((row) => findings.read('gpu', gpuRow, row)).filter((row) => row !== undefined);
  const gpusOf = Map.groupBy(read, (gpu) => gpu.server_id);
  const taken: ImportedServer[] = [];
  for (const raw of source.servers) {
    const row = findings.read('server', serverRow, raw);
    const server = row && toServer(row, (gpusOf.get(row.server_id) ?? []).map(toGpu), options, findings);
    if (server) taken.push(server);
  }
  const known = new Set(taken.map(({ server }) => server.serverId));
  for (const gpu of read) if (!known.has(gpu.server_id)) findings.left('gpu', gpu.gpu_id, 'its server was left');
  return taken;
}

/** Without cords, which upstream does not store: a chute is not scaled up before the feed tells that it may be. */
export function importChutes(source: UpstreamRows, findings: Findings): Chute[] {
  const taken: Chute[] = [];
  for (const raw of source.chutes) {
    const row = findings.read('chute', chuteRow, raw);
    if (!row) continue;
    try {
      taken.push(parseChute({ ...row, node_selector: { gpu_count: row.gpu_count } }, row.validator));
    } catch (error) {
      if (!(error instanceof z.ZodError)) throw error;
      findings.left('chute', row.chute_id, whyNot(error));
      continue;
    }
    if (row.ban_reason)
      findings.note('chute', row.chute_id, 'it is banned: put its id under policy.denyChutes in miner.yaml');
  }
  return taken;
}
