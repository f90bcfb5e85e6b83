// Drift between what git wants, what the clusters run and what the validator knows, as removals and effects (gepetto.md 5). A removal
// needs evidence: an explicit statement, or absence in two snapshots newer than the object plus a grace. Silence removes nothing.

import type { Policy } from '../domain/config.ts';
import type { DeploymentLifecycle, DeploymentSpec, ObservedPod, RemoveReason } from '../domain/deployment.ts';
import type { Effect } from './effects.ts';
import type { Memory, World } from './world.ts';

/** Time Argo CD gets to create a pod, and the validator to list an instance, before absence means anything. */
const appearGraceMs = 120_000;
/** Launch tokens live two hours (protocol.md 6.4); a claim that is not active by then never will be. */
const activationLimitMs = 7_200_000;

export interface Removal {
  spec: DeploymentSpec;
  reason: RemoveReason;
  because: string;
  /** Rests on absence, not on a statement: counts against the cap on mass removal. */
  inferred: boolean;
}

export interface Drift {
  removals: Removal[];
  effects: Effect[];
  missing: Memory['missing'];
}

export function reconcile(world: World, policy: Policy, memory: Memory, now: number): Drift {
  const missing = new Map<string, { firstSeenAt: number; snapshotAt: number }>();

  /** True once `key` is absent from two snapshots, both newer than `since` plus the grace. */
  function absentTwice(key: string, snapshotAt: number | undefined, since: number): boolean {
    if (snapshotAt === undefined || snapshotAt < since + appearGraceMs) return false;
    const seen = memory.missing.get(key);
    missing.set(key, seen ?? { firstSeenAt: now, snapshotAt });
    return seen !== undefined && snapshotAt > seen.snapshotAt;
  }

  const podsOf = Map.groupBy(world.pods, (pod) => pod.deploymentId);
  const knownServers = new Set([...world.servers.map((server) => server.name), ...world.configuredServers]);
  const removals: Removal[] = [];
  for (const spec of world.desired.values()) {
    const row = world.lifecycles.get(spec.deploymentId);
    const verdict =
      stated(world, spec, row, knownServers) ??
      (row && observed(world, policy, spec, row, podsOf.get(spec.deploymentId) ?? [], now, absentTwice));
    if (verdict) removals.push({ spec, ...verdict });
  }
  return { removals, effects: effectsOf(world, podsOf, now, absentTwice), missing };
}

type Verdict = Omit<Removal, 'spec'>;
type AbsentTwice = (key: string, snapshotAt: number | undefined, since: number) => boolean;

/** What somebody said. */
function stated(
  world: World,
  spec: DeploymentSpec,
  row: DeploymentLifecycle | undefined,
  knownServers: ReadonlySet<string>,
): Verdict | undefined {
  const inferred = false;
  if (world.undeployRequests.has(spec.deploymentId)) {
    return { reason: 'operator', because: 'a person asked for it', inferred };
  }
  if (row?.instanceGoneAt !== undefined) {
    return { reason: 'instance-deleted', because: `the validator deleted instance ${row.instanceId}`, inferred };
  }
  if (world.goneChutes.has(spec.chuteId)) {
    return { reason: 'chute-deleted', because: 'the validator says the chute is gone', inferred };
  }
  if (!knownServers.has(spec.server)) {
    return { reason: 'server-deleted', because: `server ${spec.server} was deleted`, inferred };
  }
  const current = world.chutes.get(spec.chuteId)?.version;
  if (row?.instanceId && world.rollingInstances.has(row.instanceId) && current && current !== spec.version) {
    return { reason: 'rolling-update', because: `the validator rolls ${spec.version} over to ${current}`, inferred };
  }
  return undefined;
}

/** What the pods and the instance feed show. Only a healthy member's picture counts. */
function observed(
  world: World,
  policy: Policy,
  spec: DeploymentSpec,
  row: DeploymentLifecycle,
  pods: readonly ObservedPod[],
  now: number,
  absentTwice: AbsentTwice,
): Verdict | undefined {
  const health = world.health.get(spec.server);
  const since = row.committedAt ?? row.plannedAt;
  if (health?.state === 'healthy') {
    const ended = pods.find((pod) => pod.phase === 'Failed' || pod.phase === 'Succeeded');
    if (ended) {
      const detail = ended.detail ? ` (${ended.detail})` : '';
      return { reason: 'pod-failed', because: `pod ${ended.podName} is ${ended.phase}${detail}`, inferred: false };
    }
    if (pods.length === 0 && absentTwice(`pod:${spec.deploymentId}`, health.syncedAt, since)) {
      return { reason: 'pod-lost', because: 'no pod in two complete lists of the cluster', inferred: true };
    }
    const minutes = Math.floor((now - since) / 60_000);
    if (row.instanceId === undefined && minutes >= policy.stuckLaunchMinutes) {
      return { reason: 'launch-stuck', because: `no instance after ${minutes} minutes`, inferred: false };
    }
    if (row.activatedAt === undefined && now - since >= activationLimitMs) {
      return { reason: 'launch-stuck', because: `not active after ${minutes} minutes`, inferred: false };
    }
  }
  const instances = world.feeds.get(spec.validator)?.instances;
  const linkedAt = row.claimedAt ?? since;
  if (row.instanceId !== undefined && instances && !instances.items.has(row.instanceId)) {
    if (absentTwice(`instance:${row.instanceId}`, instances.fetchedAt, linkedAt)) {
      const inferred = !isUnlistedWorldwide(world, spec.validator, row);
      const where = inferred ? '' : ', nor among the active instances of all miners';
      return { reason: 'instance-deleted', because: `not in two complete instance lists${where}`, inferred };
    }
  }
  return undefined;
}

/**
 * The validator's other list says so too: both lists are there and not empty, and neither has an instance that was active. That is a
 * statement, as after a time in which events were missed.
 */
function isUnlistedWorldwide(world: World, validator: string, row: DeploymentLifecycle): boolean {
  const { instances, globalInstances } = world.feeds.get(validator) ?? {};
  if (!instances || !globalInstances || row.activatedAt === undefined || row.instanceId === undefined) return false;
  const complete = instances.items.size > 0 && globalInstances.items.size > 0;
  const recent = (globalInstances.fetchedAt ?? 0) >= row.activatedAt + appearGraceMs;
  return complete && recent && !globalInstances.items.has(row.instanceId);
}

/** Bookkeeping and clean-up that need no commit. All of it may be repeated without harm. */
function effectsOf(
  world: World,
  podsOf: ReadonlyMap<string, ObservedPod[]>,
  now: number,
  absentTwice: AbsentTwice,
): Effect[] {
  const effects: Effect[] = [];
  for (const spec of world.desired.values()) {
    const row = world.lifecycles.get(spec.deploymentId);
    if (!row) effects.push({ kind: 'adopt', spec });
    else if (row.committedAt === undefined) {
      // The miner died between the commit and the note of it.
      effects.push({ kind: 'mark', step: 'committedAt', deploymentId: spec.deploymentId, at: now });
    }
  }
  const byConfig = new Map<string, DeploymentLifecycle>();
  const byInstance = new Map<string, DeploymentLifecycle>();
  for (const row of world.lifecycles.values()) {
    if (row.configId !== undefined) byConfig.set(row.configId, row);
    if (row.instanceId !== undefined) byInstance.set(row.instanceId, row);
    effects.push(...rowEffects(world, row, podsOf.get(row.deploymentId) ?? [], now));
  }
  for (const [validator, { instances }] of world.feeds) {
    for (const instance of instances.items.values()) {
      const { instanceId, configId, chuteId } = instance;
      const row = byInstance.get(instanceId) ?? (configId === undefined ? undefined : byConfig.get(configId));
      if (!row) {
        // A launch config is stored before its pod can start, so an unknown one belongs to nobody.
        if (absentTwice(`unknown:${instanceId}`, instances.fetchedAt, 0)) {
          effects.push({ kind: 'delete-instance', validator, chuteId, instanceId, deploymentId: undefined });
        }
        continue;
      }
      if (row.instanceId === undefined && configId !== undefined) {
        effects.push({ kind: 'link-instance', configId, instanceId, at: now });
      }
      if (row.verifiedAt === undefined && instance.verifiedAt !== undefined) {
        effects.push({ kind: 'mark-instance', step: 'verifiedAt', instanceId, at: instance.verifiedAt });
      }
      if (row.activatedAt === undefined && instance.active) {
        effects.push({ kind: 'mark-instance', step: 'activatedAt', instanceId, at: instance.activatedAt ?? now });
      }
    }
  }
  return effects;
}

function rowEffects(world: World, row: DeploymentLifecycle, pods: readonly ObservedPod[], now: number): Effect[] {
  const effects: Effect[] = [];
  const { deploymentId } = row;
  if (row.runningAt === undefined && pods.some((pod) => pod.phase === 'Running')) {
    effects.push({ kind: 'mark', step: 'runningAt', deploymentId, at: now });
  }
  // Planned but never committed, or taken out by a person's revert.
  if (row.removedAt === undefined && !world.desired.has(deploymentId)) {
    effects.push({ kind: 'mark', step: 'removedAt', deploymentId, at: now });
  }
  if (row.removedAt === undefined || row.goneAt !== undefined) return effects;
  if (row.instanceId !== undefined && row.instanceGoneAt === undefined) {
    const { validator, chuteId, instanceId } = row;
    effects.push({ kind: 'delete-instance', validator, chuteId, instanceId, deploymentId });
  }
  // The validator refuses a GPU that it still counts in another instance, and the launch is burnt (gepetto.md 4.7).
  if (row.instanceId !== undefined && row.instanceGoneAt === undefined) return effects;
  const health = world.health.get(row.server);
  // A pod that was never seen may still be on its way through Argo CD; one that ran is gone when the list says so.
  const quietSince = row.removedAt + (row.runningAt === undefined ? appearGraceMs / 2 : 0);
  if (pods.length === 0 && health?.state === 'healthy' && (health.syncedAt ?? 0) > quietSince) {
    effects.push({ kind: 'mark', step: 'goneAt', deploymentId, at: now });
  }
  return effects;
}
