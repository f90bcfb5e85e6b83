// The checks before a deploy or preempt action, in the order of the rule list (trace format, section 5.3). Reads the market only.

import type { RecordOf } from './format.ts';
import { defaultDiskGb } from './lifecycle.ts';
import type { DeployAction } from './protocol.ts';
import type { Chute, Deployment, GpuSlot, Market, Server } from './state.ts';
import type { Refusal } from './violations.ts';

/** GB of a server's disk that stay free. */
export const diskReserveGb = 20;

export interface DeployPlan {
  chute: Chute;
  server: Server;
  job: RecordOf<'job_created'> | null;
  gpus: GpuSlot[];
  victims: Deployment[];
}

/** Why nothing can be deployed or removed on a server now; null if it can. */
export function checkServer(market: Market, server: Server | undefined): Refusal | null {
  if (!server?.present || server.down) return 'server_not_ready';
  if (market.now < server.unhealthyUntil) return 'server_unhealthy';
  return server.locked ? 'server_locked' : null;
}

/** GB: capacity less the reserve and what deployments other than `without` hold. */
export function freeDiskGb({ spec, deployments }: Server, without: readonly Deployment[] = []): number {
  let free = spec.disk_gb - diskReserveGb;
  for (const deployment of deployments) if (!without.includes(deployment)) free -= deployment.diskGb;
  return free;
}

export function freeGpus({ gpus }: Server): GpuSlot[] {
  return gpus.filter(({ owner, freeAt }) => owner === null && freeAt === null);
}

function checkJob(market: Market, chute: Chute, jobId: string): Refusal | RecordOf<'job_created'> {
  const job = market.jobs.get(jobId);
  if (!job) return 'job_closed';
  if (job.chute_id !== chute.spec.chute_id) return 'job_chute_mismatch';
  const barred = market.attempted.has(jobId) || job.exclude.includes(market.fleet.miner_hotkey);
  return barred ? 'job_not_allowed' : job;
}

/** The wanted GPUs, or the first of the free ones in index order and then those of the victims. */
function chooseGpus(server: Server, victims: Deployment[], wanted: string[] | null, count: number): GpuSlot[] | null {
  const usable = [...freeGpus(server), ...victims.flatMap(({ gpus }) => gpus)];
  if (!wanted) return usable.length < count ? null : usable.slice(0, count);
  const chosen = usable.filter(({ id }) => wanted.includes(id));
  return wanted.length === count && chosen.length === count ? chosen : null;
}

/** What a deploy would do, or the first rule that it breaks. `victimIds` are deployments to remove for it. */
export function checkDeploy(market: Market, action: DeployAction, victimIds: readonly string[]): Refusal | DeployPlan {
  const chute = market.chutes.get(action.chute_id);
  if (!chute?.live) return 'unknown_chute';
  const victims: Deployment[] = [];
  for (const id of victimIds) {
    const victim = market.deployments.get(id);
    if (!victim) return 'unknown_deployment';
    victims.push(victim);
  }
  if (victims.some(({ server }) => server.spec.name !== action.server)) return 'victim_elsewhere';
  const server = market.servers.get(action.server);
  const closed = checkServer(market, server);
  if (closed || !server) return closed ?? 'server_not_ready';

  const jobId = action.job_id ?? null;
  const job = jobId === null ? null : checkJob(market, chute, jobId);
  if (typeof job === 'string') return job;
  const { spec } = chute;
  if (!job && spec.cords.length === 0) return 'job_only_chute';
  if (server.spec.validator !== market.fleet.validator) return 'validator_mismatch';
  if (server.spec.is_tee !== spec.tee) return 'tee_mismatch';
  if (!spec.supported_gpus.includes(server.spec.gpu_short_ref)) return 'gpu_not_supported';
  const count = job?.gpu_count ?? spec.node_selector.gpu_count;
  const gpus = chooseGpus(server, victims, action.gpu_ids ?? null, count);
  if (!gpus) return 'gpus_not_free';
  if (freeDiskGb(server, victims) < (job?.disk_gb ?? defaultDiskGb)) return 'disk';
  return { chute, server, job, gpus, victims };
}
