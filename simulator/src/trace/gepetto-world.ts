// A trace snapshot as the planner's world. What did not change between two snapshots is kept, so that the cost of a tick is that of its
// changes. Times become ms since the start of the trace plus a day, because the planner's clock has no negative past.

import type { Chute } from '@miner/controller/domain/chute.ts';
import type {
  DeploymentLifecycle,
  DeploymentSpec,
  MemberHealth,
  ObservedPod,
} from '@miner/controller/domain/deployment.ts';
import { lifecycleOf } from '@miner/controller/domain/lifecycle.ts';
import type { Feeds, RemoteInstance, Utilization } from '@miner/controller/domain/ports.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { atLeast } from '@miner/controller/domain/version.ts';
import type { ChuteMarket, JobOffer, SiteFacts, World } from '@miner/controller/gepetto/world.ts';
import type { ChuteView, DeploymentView, ServerView, Snapshot, VisibleEvent } from './protocol.ts';

const dayMs = 86_400_000;

/** A time of the trace, in seconds, as the planner's clock shows it. */
export function clockMs(seconds: number): number {
  return dayMs + Math.round(seconds * 1000);
}

interface Known {
  view: ServerView;
  pods: ObservedPod[];
}

export interface WorldBuilder {
  world(snapshot: Snapshot): World;
}

function gpuIdsOf({ free_gpu_ids, draining, deployments }: ServerView): string[] {
  return [...free_gpu_ids, ...draining.map(({ gpu_id }) => gpu_id), ...deployments.flatMap(({ gpu_ids }) => gpu_ids)];
}

function serverOf(view: ServerView, ids: readonly string[]): Server {
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

function specOf(view: DeploymentView, server: ServerView, chuteName: string): DeploymentSpec {
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

function rowOf(view: DeploymentView, spec: DeploymentSpec): DeploymentLifecycle {
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

function podOf(spec: DeploymentSpec, createdAt: number): ObservedPod {
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

function instanceOf(row: DeploymentLifecycle, { compute_multiplier }: DeploymentView): RemoteInstance {
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

function chuteOf(view: ChuteView, validator: string): Chute {
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

function marketOf(view: ChuteView): ChuteMarket {
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

function factsOf(view: ServerView): SiteFacts {
  return {
    ...(view.leaving_at === null ? {} : { leavingAt: clockMs(view.leaving_at) }),
    netMbps: view.net_mbps,
    diskReadGbps: view.disk_read_gbps,
    models: new Set(view.cached_models),
    images: new Set(view.cached_images),
  };
}

function isFailedLaunch(event: VisibleEvent) {
  return event.type === 'instance_deleted' && event.reason === 'launch_failed';
}

export function createWorldBuilder(): WorldBuilder {
  const chutes = new Map<string, Chute>();
  const market = new Map<string, ChuteMarket>();
  const chuteViews = new Map<string, ChuteView>();
  const known = new Map<string, Known>();
  const gpuIds = new Map<string, string[]>();
  const servers = new Map<string, Server>();
  const desired = new Map<string, DeploymentSpec>();
  const lifecycles = new Map<string, DeploymentLifecycle>();
  const instances = new Map<string, RemoteInstance>();
  const firstMultipliers = new Map<string, number>();
  const sites = new Map<string, SiteFacts>();
  const health = new Map<string, MemberHealth>();
  const utilization = new Map<string, Utilization>();
  /** Failed since the last snapshot: shown once more, with a pod that ended, so that the planner learns of it. */
  let failed: string[] = [];

  function dropDeployment(deploymentId: string): void {
    desired.delete(deploymentId);
    lifecycles.delete(deploymentId);
    instances.delete(deploymentId);
    firstMultipliers.delete(deploymentId);
  }

  function updateServer(view: ServerView, gone: ReadonlySet<string>): ObservedPod[] {
    const before = known.get(view.name);
    if (before?.view === view) return before.pods;
    const present = new Set(view.deployments.map(({ deployment_id }) => deployment_id));
    for (const { deployment_id } of before?.view.deployments ?? []) {
      if (!present.has(deployment_id) && !gone.has(deployment_id)) dropDeployment(deployment_id);
    }
    const ids = gpuIds.get(view.name) ?? [];
    const all = ids.length === view.gpu_count ? ids : [...new Set([...ids, ...gpuIdsOf(view)])];
    if (all !== ids || servers.get(view.name)?.locked !== view.locked) {
      gpuIds.set(view.name, all);
      servers.set(view.name, serverOf(view, all));
    }
    sites.set(view.name, factsOf(view));
    const pods: ObservedPod[] = [];
    for (const deployment of view.deployments) {
      const spec =
        desired.get(deployment.deployment_id) ??
        specOf(deployment, view, chutes.get(deployment.chute_id)?.name ?? deployment.chute_id);
      const row = rowOf(deployment, spec);
      desired.set(spec.deploymentId, spec);
      lifecycles.set(spec.deploymentId, row);
      if (row.instanceId !== undefined) instances.set(spec.deploymentId, instanceOf(row, deployment));
      if (deployment.initial_multiplier !== null) {
        firstMultipliers.set(spec.deploymentId, deployment.initial_multiplier);
      }
      pods.push(podOf(spec, row.plannedAt));
    }
    for (const { gpu_id } of view.draining) {
      const drain = { ...podOf({ server: view.name } as DeploymentSpec, 0), deploymentId: `draining ${gpu_id}` };
      pods.push({ ...drain, podName: gpu_id, gpuIds: [gpu_id], terminating: true });
    }
    known.set(view.name, { view, pods });
    return pods;
  }

  function updateChutes(snapshot: Snapshot): void {
    const seen = new Set<string>();
    for (const view of snapshot.chutes) {
      seen.add(view.chute_id);
      if (chuteViews.get(view.chute_id) === view) continue;
      chuteViews.set(view.chute_id, view);
      chutes.set(view.chute_id, chuteOf(view, snapshot.validator));
      market.set(view.chute_id, marketOf(view));
      utilization.set(view.chute_id, utilizationOf(view));
    }
    if (seen.size === chuteViews.size) return;
    for (const chuteId of chuteViews.keys()) {
      if (seen.has(chuteId)) continue;
      chuteViews.delete(chuteId);
      chutes.delete(chuteId);
      market.delete(chuteId);
      utilization.delete(chuteId);
    }
  }

  function utilizationOf(view: ChuteView): Utilization {
    let used = view.active_total;
    if (view.rolling) {
      used = view.active_others;
      for (const row of lifecycles.values()) {
        if (row.chuteId === view.chute_id && row.version === view.version && row.activatedAt !== undefined) used++;
      }
    }
    return {
      chuteId: view.chute_id,
      // A private chute without a bounty gets no token.
      scalable: view.scalable && (view.public || view.bounty !== null),
      updateInProgress: false,
      targetCount: view.target_count,
      activeInstanceCount: used,
    };
  }

  return {
    world(snapshot) {
      const now = clockMs(snapshot.now);
      for (const deploymentId of failed) dropDeployment(deploymentId);
      failed = snapshot.events
        .filter(isFailedLaunch)
        .flatMap((event) => ('deployment_id' in event ? [event.deployment_id] : []));
      const gone = new Set(failed);
      const pods: ObservedPod[] = [];
      const present = new Set<string>();
      for (const view of snapshot.servers) {
        present.add(view.name);
        for (const pod of updateServer(view, gone)) pods.push(pod);
        const ready = view.status === 'ready';
        const state = ready ? 'healthy' : 'unhealthy';
        if (health.get(view.name)?.state !== state) health.set(view.name, { state, since: now, syncedAt: now });
      }
      if (present.size < known.size) {
        for (const [name, { view }] of known) {
          if (present.has(name)) continue;
          for (const { deployment_id } of view.deployments) dropDeployment(deployment_id);
          for (const map of [known, servers, sites, health]) map.delete(name);
        }
      }
      updateChutes(snapshot);
      for (const deploymentId of failed) {
        const spec = desired.get(deploymentId);
        if (spec) pods.push({ ...podOf(spec, now), phase: 'Failed' });
      }
      const fetchedAt = clockMs(snapshot.feeds.fetched_at);
      const feeds: Feeds = {
        chutes: { fetchedAt, items: chutes },
        instances: { fetchedAt, items: instances },
        globalInstances: { fetchedAt, items: new Map() },
        utilization: { fetchedAt, items: utilization },
        rollingUpdates: { fetchedAt, items: new Map() },
        nodes: { fetchedAt, items: new Map() },
      };
      return {
        hotkey: snapshot.miner_hotkey,
        chutes,
        feeds: new Map([[snapshot.validator, feeds]]),
        servers: [...servers.values()],
        configuredServers: present,
        desired,
        lifecycles,
        pods,
        health,
        goneChutes: new Set(),
        rollingInstances: new Set(),
        undeployRequests: new Set(),
        jobs: new Map(snapshot.jobs.map((job) => [job.job_id, jobOf(job)])),
        cooldowns: new Map(snapshot.cooldowns.map((one) => [one.chute_id, clockMs(one.cooldown_expires_at)])),
        market,
        sites,
        firstMultipliers,
      };
    },
  };
}

function jobOf(view: Snapshot['jobs'][number]): JobOffer {
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
