// The market as a strategy sees it at a tick (trace format, sections 3.3, 4.6 and 5.2). Views of servers and chutes are kept while
// nothing about them changed, because a large market would otherwise be copied every 15 s.

import { freeDiskGb, freeGpus } from './checks.ts';
import { bountyAmount, bountyBoost, easing, runMultiplier } from './multiplier.ts';
import type { ActionResult, ChuteView, DeploymentView, JobView, ServerView, Snapshot } from './protocol.ts';
import {
  activeTotal,
  type Chute,
  type Deployment,
  inOutage,
  isRolling,
  type Market,
  offeredMultiplier,
  ownActive,
  quotaUsed,
  rollingSeconds,
  type Server,
} from './state.ts';

export const tickSeconds = 15;
/** Values that drift are renewed at multiples of this. */
export const driftSeconds = 300;

/** When the drifting values of an object are taken: its last change, or the last multiple of 300 s, whichever is later. */
function takenAt(changedAt: number, now: number): number {
  return Math.max(changedAt, Math.floor(now / driftSeconds) * driftSeconds);
}

function currentMultiplier({ cm0, activatedAt, job, chute }: Deployment, at: number): number | null {
  if (activatedAt === null) return null;
  const weight = job ? 0 : easing(at - activatedAt);
  return cm0 * (1 - weight) + runMultiplier(chute.factors) * weight;
}

function deploymentView(deployment: Deployment, now: number): DeploymentView {
  const { chute, job, activatedAt, instanceCreated, changedAt } = deployment;
  const active = activatedAt !== null;
  return {
    deployment_id: deployment.id,
    chute_id: chute.spec.chute_id,
    version: deployment.version,
    gpu_ids: deployment.gpus.map(({ id }) => id),
    state: active ? 'active' : 'pending',
    created_at: deployment.createdAt,
    instance_created_at: instanceCreated ? deployment.instanceAt : null,
    expected_active_at: deployment.readyAt,
    activated_at: activatedAt,
    compute_multiplier: currentMultiplier(deployment, takenAt(changedAt, now)),
    initial_multiplier: active ? deployment.cm0 : null,
    preemptible: chute.spec.preemptible && !job,
    job_id: job?.job_id ?? null,
    disk_gb: deployment.diskGb,
  };
}

function serverView(server: Server, now: number): ServerView {
  const { gpu_ids: _, cached_models: __, join_t: ___, leave_t: ____, ...fixed } = server.spec;
  return {
    ...fixed,
    locked: server.locked,
    status: server.down ? 'down' : now < server.unhealthyUntil ? 'unhealthy' : 'ready',
    leaving_at: server.leavingAt,
    disk_free_gb: freeDiskGb(server),
    cached_models: server.models.keys(),
    cached_images: [...server.images],
    free_gpu_ids: server.down ? [] : freeGpus(server).map(({ id }) => id),
    draining: server.gpus.flatMap(({ id, freeAt }) => (freeAt === null ? [] : [{ gpu_id: id, free_at: freeAt }])),
    deployments: [...server.deployments].map((deployment) => deploymentView(deployment, now)),
  };
}

function chuteView(chute: Chute, now: number): ChuteView {
  const { spec, factors, bounty, disabled } = chute;
  const at = takenAt(chute.changedAt, now);
  const own = ownActive(chute).length;
  const age = at - (bounty?.openedAt ?? 0);
  return {
    chute_id: spec.chute_id,
    name: spec.name,
    version: chute.version,
    public: spec.public,
    preemptible: spec.preemptible,
    tee: spec.tee,
    disabled,
    job_only: spec.cords.length === 0,
    gpu_count: spec.node_selector.gpu_count,
    supported_gpus: spec.supported_gpus,
    chutes_version: spec.chutes_version,
    image: spec.image,
    concurrency: spec.concurrency,
    max_instances: spec.max_instances,
    created_at: spec.created_at,
    effective_compute_multiplier: offeredMultiplier(chute, at),
    run_multiplier: runMultiplier(factors),
    factors,
    bounty: bounty && { amount: bountyAmount(age), opened_at: bounty.openedAt, boost: bountyBoost(age) },
    scalable: chute.scalable && !disabled && quotaUsed(chute, now) < chute.targetCount,
    target_count: chute.targetCount,
    active_total: activeTotal(chute),
    active_own: own,
    active_others: chute.others,
    rolling: isRolling(chute, now),
    model_key: spec.sim.model_key,
    model_gb: spec.sim.model_gb,
    image_gb: spec.sim.image_gb,
    warmup_s: spec.sim.warmup_s,
  };
}

interface Kept<T> {
  revision: number;
  /** Time from which the view is stale. */
  until: number;
  view: T;
}

function keep<K extends { revision: number }, T>(kept: Map<K, Kept<T>>, key: K, now: number, make: () => Kept<T>): T {
  const old = kept.get(key);
  if (old && old.revision === key.revision && now < old.until) return old.view;
  const made = make();
  kept.set(key, made);
  return made.view;
}

export interface Observer {
  /** Takes the events since the last snapshot out of the market. */
  look(market: Market, results: readonly ActionResult[]): Snapshot;
}

export function createObserver(): Observer {
  const servers = new Map<Server, Kept<ServerView>>();
  const chutes = new Map<Chute, Kept<ChuteView>>();
  let lastGood: { chutes: ChuteView[]; at: number } | undefined;

  function nextDrift(now: number): number {
    return (Math.floor(now / driftSeconds) + 1) * driftSeconds;
  }

  function viewServers({ servers: all, now }: Market): ServerView[] {
    const present = [...all.values()].filter((server) => server.present);
    return present.map((server) =>
      keep(servers, server, now, () => {
        return { revision: server.revision, until: nextDrift(now), view: serverView(server, now) };
      }),
    );
  }

  function viewChutes({ chutes: all, now }: Market): ChuteView[] {
    const live = [...all.values()].filter((chute) => chute.live);
    return live.map((chute) =>
      keep(chutes, chute, now, () => {
        const rollingEnd = isRolling(chute, now) ? chute.updatedAt + rollingSeconds : Number.POSITIVE_INFINITY;
        const until = Math.min(nextDrift(now), rollingEnd);
        return { revision: chute.revision, until, view: chuteView(chute, now) };
      }),
    );
  }

  function viewJobs({ jobs, attempted }: Market): JobView[] {
    return [...jobs.values()].map(({ t: _, type: __, duration_s: ___, open_until: ____, ...shown }) => {
      return { ...shown, attempted: attempted.has(shown.job_id) };
    });
  }

  return {
    look(market, results) {
      const { now, fleet } = market;
      const broken = inOutage(market, 'error');
      const status = broken ? 'error' : inOutage(market, 'empty') ? 'empty' : 'ok';
      if (status === 'ok' || !lastGood) lastGood = { chutes: viewChutes(market), at: now };
      const visible = market.events.filter(({ fromValidator }) => !(broken && fromValidator));
      market.events = broken ? market.events.filter(({ fromValidator }) => fromValidator) : [];
      return {
        format: 1,
        seq: now / tickSeconds,
        now,
        end: fleet.duration_s,
        miner_hotkey: fleet.miner_hotkey,
        validator: fleet.validator,
        feeds: { status, fetched_at: lastGood.at },
        servers: viewServers(market),
        chutes: lastGood.chutes,
        jobs: broken ? [] : viewJobs(market),
        cooldowns: [...market.cooldowns.values()].filter(({ cooldown_expires_at }) => cooldown_expires_at > now),
        events: visible.map(({ event }) => event),
        results,
      };
    },
  };
}
