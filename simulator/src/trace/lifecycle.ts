// One deployment from launch to activation, or to the reason why it never activates (trace format, section 4.3).
// Its end is removal.ts.

import type { RecordOf } from './format.ts';
import { bountyBoost, runMultiplier } from './multiplier.ts';
import { removeDeployment } from './removal.ts';
import {
  type Chute,
  type Deployment,
  type GpuSlot,
  inCooldown,
  inOutage,
  type Market,
  quotaUsed,
  type Server,
  touchChute,
  touchServer,
} from './state.ts';

const drainOfVictims = 60;
const bootSeconds = 5;
const longestStart = 7200;
const retryAfterOutage = 5;
/** GB reserved by an instance that says nothing else. */
export const defaultDiskGb = 10;

export interface LaunchRequest {
  chute: Chute;
  server: Server;
  /** Free, or just taken from victims. */
  gpus: GpuSlot[];
  usesVictims: boolean;
  job: RecordOf<'job_created'> | null;
}

function failureTime(market: Market, deployment: Deployment, start: number): number {
  const { chute, server, version, instanceAt, readyAt } = deployment;
  let at = readyAt - instanceAt > longestStart ? instanceAt + longestStart : Number.POSITIVE_INFINITY;
  const launch: Record<string, string> = {
    chute_id: chute.spec.chute_id,
    version,
    server: server.spec.name,
    gpu_short_ref: server.spec.gpu_short_ref,
  };
  for (const { t, until, scope, fail_after_s } of market.faults) {
    if (start < t || start >= until) continue;
    const matches = Object.entries(scope).every(([key, value]) => value === undefined || launch[key] === value);
    if (matches) at = Math.min(at, readyAt, start + fail_after_s);
  }
  return at;
}

/** Starts a deployment whose token was granted. Takes the GPUs now; caches are looked up now. */
export function launch(market: Market, { chute, server, gpus, usesVictims, job }: LaunchRequest): Deployment {
  const { now, fleet, queue } = market;
  const { sim, image } = chute.spec;
  const { net_mbps, disk_read_gbps, gpu_short_ref } = server.spec;
  const hasImage = server.images.has(image);
  const hasModel = server.models.has(sim.model_key);
  if (hasModel) server.models.use(sim.model_key, now);
  const start = now + (usesVictims ? drainOfVictims : 0);
  const pull = hasImage ? 2 : (sim.image_gb * 8000) / net_mbps;
  const download = hasModel ? 0 : (sim.model_gb * 8000) / (0.8 * net_mbps);
  const verify = chute.spec.tee ? 30 : (fleet.gpus[gpu_short_ref]?.verify_s ?? 0);
  const instanceAt = start + bootSeconds + pull;
  const deployment: Deployment = {
    id: `d${String(market.nextDeployment++).padStart(6, '0')}`,
    chute,
    server,
    version: chute.version,
    gpus,
    job,
    diskGb: job?.disk_gb ?? defaultDiskGb,
    createdAt: now,
    instanceAt,
    instanceCreated: false,
    readyAt: instanceAt + download + sim.model_gb / disk_read_gbps + sim.warmup_s + verify,
    cold: !hasImage || !hasModel,
    activatedAt: null,
    cm0: 0,
    boost: 1,
    accrual: { own: 0, followed: 0 },
    settledAt: now,
    changedAt: now,
  };
  for (const gpu of gpus) {
    gpu.owner = deployment;
    gpu.freeAt = null;
  }
  server.deployments.add(deployment);
  chute.deployments.add(deployment);
  market.deployments.set(deployment.id, deployment);
  market.tally.launches++;
  queue.push(instanceAt, { kind: 'instance', deployment });
  if (!hasModel) queue.push(instanceAt + download, { kind: 'model', deployment });
  const failsAt = failureTime(market, deployment, start);
  if (failsAt === Number.POSITIVE_INFINITY) queue.push(deployment.readyAt, { kind: 'activation', deployment });
  else queue.push(failsAt, { kind: 'failure', deployment });
  touchServer(market, server);
  return deployment;
}

function trimModels(server: Server): void {
  server.models.trim(new Set([...server.deployments].map(({ chute }) => chute.spec.sim.model_key)));
}

/** The image is on the server from here on; a job is claimed, or was lost meanwhile. */
export function instanceCreated(market: Market, deployment: Deployment): void {
  const { server, chute, job } = deployment;
  server.images.add(chute.spec.image);
  deployment.instanceCreated = true;
  deployment.changedAt = market.now;
  touchServer(market, server);
  if (!job) return;
  if (market.jobs.delete(job.job_id)) return;
  removeDeployment(market, deployment, 'job_gone');
}

export function modelCached(market: Market, { server, chute }: Deployment): void {
  server.models.use(chute.spec.sim.model_key, market.now);
  trimModels(server);
  touchServer(market, server);
}

/** Takes an open bounty unless it is a job. Returns the factor that enters the multiplier. */
function claimBounty(market: Market, chute: Chute): number {
  const { bounty } = chute;
  if (!bounty) return 1;
  chute.bounty = null;
  chute.lastClaimAt = market.now;
  market.voidBounties.add(bounty.id);
  return bountyBoost(market.now - bounty.openedAt);
}

function activate(market: Market, deployment: Deployment): void {
  const { chute, server, job } = deployment;
  const { urgency, ...steady } = chute.factors;
  if (job) {
    deployment.cm0 = job.compute_multiplier;
    market.queue.push(market.now + job.duration_s, { kind: 'job_end', deployment });
  } else {
    const claimed = claimBounty(market, chute);
    const cooled = inCooldown(market, chute);
    deployment.boost = cooled ? 1 : claimed;
    deployment.cm0 = runMultiplier({ ...steady, urgency: cooled ? 1 : urgency }) * deployment.boost;
  }
  deployment.activatedAt = market.now;
  deployment.settledAt = market.now;
  deployment.changedAt = market.now;
  market.tally.activations++;
  if (deployment.cold) market.tally.coldStarts++;
  touchServer(market, server);
  touchChute(market, chute);
  const { id } = deployment;
  const { name } = server.spec;
  const base = { t: market.now, deployment_id: id, chute_id: chute.spec.chute_id, server: name };
  market.events.push({
    event: { ...base, type: 'instance_activated', job_id: job?.job_id ?? null },
    fromValidator: false,
  });
}

/** The activation attempt at `ready`, and again after an outage. */
export function tryActivate(market: Market, deployment: Deployment): void {
  const { chute, job } = deployment;
  if (inOutage(market, 'error')) {
    market.queue.push(market.outageUntil.error + retryAfterOutage, { kind: 'activation', deployment });
    return;
  }
  // A chute that is no longer live has ended its deployments already.
  if (chute.version !== deployment.version) {
    removeDeployment(market, deployment, 'old_version');
    return;
  }
  if (!job && (chute.disabled || quotaUsed(chute, market.now) >= chute.targetCount)) {
    removeDeployment(market, deployment, 'activation_423');
    return;
  }
  activate(market, deployment);
}
