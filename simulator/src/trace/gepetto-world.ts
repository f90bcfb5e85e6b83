// A trace snapshot as the planner's world. What did not change between two snapshots is kept, so that the cost of a tick is that of its
// changes.

import type { Chute } from '@miner/controller/domain/chute.ts';
import type {
  DeploymentLifecycle,
  DeploymentSpec,
  MemberHealth,
  ObservedPod,
} from '@miner/controller/domain/deployment.ts';
import type { Feeds, RemoteInstance, Utilization } from '@miner/controller/domain/ports.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import type { ChuteMarket, SiteFacts, World } from '@miner/controller/gepetto/world.ts';
import {
  chuteOf,
  clockMs,
  factsOf,
  gpuIdsOf,
  instanceOf,
  jobOf,
  marketOf,
  podOf,
  rowOf,
  serverOf,
  specOf,
} from './gepetto-views.ts';
import type { ChuteView, ServerView, Snapshot, VisibleEvent } from './protocol.ts';

interface Known {
  view: ServerView;
  pods: ObservedPod[];
}

export interface WorldBuilder {
  world(snapshot: Snapshot): World;
}

function isFailedLaunch(event: VisibleEvent) {
  return event.type === 'instance_deleted' && event.reason === 'launch_failed';
}

export function createWorldBuilder(): WorldBuilder {
  const chutes = new Map<string, Chute>();
  const market = new Map<string, ChuteMarket>();
  const chuteViews = new Map<string, ChuteView>();
  let lastChutes: Snapshot['chutes'] = [];
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
    const before = lastChutes;
    lastChutes = snapshot.chutes;
    if (before === lastChutes) return;
    let sameIds = before.length === lastChutes.length;
    for (const [place, view] of lastChutes.entries()) {
      const known = before[place];
      if (known === view) continue;
      if (known?.chute_id !== view.chute_id) sameIds = false;
      if (chuteViews.get(view.chute_id) === view) continue;
      chuteViews.set(view.chute_id, view);
      chutes.set(view.chute_id, chuteOf(view, snapshot.validator));
      market.set(view.chute_id, marketOf(view));
      utilization.set(view.chute_id, utilizationOf(view));
    }
    if (sameIds) return;
    const seen = new Set(lastChutes.map(({ chute_id }) => chute_id));
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
        cooldowns: { fetchedAt, items: new Map() },
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
