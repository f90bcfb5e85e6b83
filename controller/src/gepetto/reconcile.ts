// Drift between what git wants, what the clusters run and what the validator knows, as removals and effects (gepetto.md 5). A removal
// needs evidence: an explicit statement, or absence in two snapshots newer than the object plus a grace. Silence removes nothing.

import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '../domain/deployment.ts';
import type { Policy } from '../domain/policy.ts';
import { type AbsentTwice, effectsOf } from './bookkeeping.ts';
import { contestedGpus } from './contested.ts';
import type { Effect } from './effects.ts';
import type { Fleet, Occupancy } from './fleet.ts';
import { stated, type Verdict } from './statements.ts';
import type { PassMemory } from './swap.ts';
import type { Memory, World } from './world.ts';

/** Time Argo CD gets to create a pod, and the validator to list an instance, before absence means anything. */
const appearGraceMs = 120_000;
/** Least time between two lists that both lack something; a list may follow an event at once, and the next event another. */
const twiceApartMs = 10_000;
/** The validator takes no activation later than this after the claim (gepetto.md 4.7). */
const activationLimitMs = 7_200_000;
/** A launch token lives two to three hours: no download may be waited for longer than this. */
const longestLaunchMinutes = 110;
/** What a download may take compared with the nominal speed of the line. */
const slowLine = 3;
/** An active instance gets this long to be verified although its pod ended (gepetto.md D13). */
const unverifiedGraceMs = 300_000;

export interface Removal extends Verdict {
  spec: DeploymentSpec;
}

export interface Drift {
  removals: Removal[];
  effects: Effect[];
  missing: Memory['missing'];
}

export function reconcile(world: World, fleet: Fleet, policy: Policy, memory: PassMemory, now: number): Drift {
  const missing = new Map<string, { firstSeenAt: number; snapshotAt: number }>();

  function absentTwice(key: string, snapshotAt: number | undefined, since: number): boolean {
    if (snapshotAt === undefined || snapshotAt < since + appearGraceMs) return false;
    const seen = memory.missing.get(key);
    missing.set(key, seen ?? { firstSeenAt: now, snapshotAt });
    return seen !== undefined && snapshotAt >= seen.snapshotAt + twiceApartMs;
  }

  const waiting = new Set((memory.waiting ?? []).map(({ decision }) => decision.spec.deploymentId));
  const removals: Removal[] = [];
  // Nobody said anything about anybody: then who is settled and listed stays.
  const isQuiet = world.undeployRequests.size + world.goneChutes.size + world.rollingInstances.size === 0;
  for (const here of fleet.values()) {
    const quiet = isQuiet && (here.server !== undefined || world.configuredServers.has(here.name));
    if (quiet && here.calm && areListed(world, here)) continue;
    const contested = contestedGpus(here, waiting);
    for (const { deploymentId, spec, row, pods, settled: calm } of here.occupants) {
      if (!spec) continue;
      if (calm && quiet && row && isListed(world, spec.validator, row)) continue;
      const settled = row && !waiting.has(deploymentId);
      const verdict =
        stated(world, spec, row, here) ??
        contested.get(deploymentId) ??
        (settled ? observed(world, policy, spec, row, pods, now, absentTwice) : undefined);
      if (verdict) removals.push({ spec, ...verdict });
    }
  }
  return { removals, effects: effectsOf(world, fleet, now, absentTwice, waiting), missing };
}

const listedIn = new WeakMap<Occupancy, ReadonlyMap<string, unknown>>();

/** All settled occupants of a server; a feed that is the same list as in the plan before is not searched again. */
function areListed(world: World, here: Occupancy): boolean {
  const { server, occupants } = here;
  const items = server && world.feeds.get(server.validator)?.instances.items;
  if (items && listedIn.get(here) === items) return true;
  for (const { spec, row } of occupants) {
    if (!spec || !row || spec.validator !== server?.validator || !isListed(world, spec.validator, row)) return false;
  }
  if (items) listedIn.set(here, items);
  return true;
}

/** A feed that was never fetched says nothing. */
function isListed(world: World, validator: string, { instanceId }: DeploymentLifecycle): boolean {
  const { instances } = world.feeds.get(validator) ?? {};
  return instanceId === undefined || !instances || instances.items.has(instanceId);
}

/** Minutes that a launch may take: more than usual where the image alone needs longer on that line (gepetto.md W19). */
function launchMinutes(world: World, policy: Policy, spec: DeploymentSpec): number {
  const gb = world.market?.get(spec.chuteId)?.imageGb;
  const mbps = world.sites?.get(spec.server)?.netMbps;
  if (gb === undefined || mbps === undefined || mbps <= 0) return policy.stuckLaunchMinutes;
  const download = (gb * 8000) / mbps / 60;
  return Math.max(policy.stuckLaunchMinutes, Math.min(longestLaunchMinutes, slowLine * download));
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
    const unverified = row.activatedAt !== undefined && row.verifiedAt === undefined;
    if (ended && !(unverified && now - since < unverifiedGraceMs)) {
      const detail = ended.detail ? ` (${ended.detail})` : '';
      return { reason: 'pod-failed', because: `pod ${ended.podName} is ${ended.phase}${detail}`, inferred: false };
    }
    if (pods.length === 0 && absentTwice(`pod:${spec.deploymentId}`, health.syncedAt, since)) {
      return { reason: 'pod-lost', because: 'no pod in two complete lists of the cluster', inferred: true };
    }
    const minutes = Math.floor((now - since) / 60_000);
    if (row.instanceId === undefined && minutes >= launchMinutes(world, policy, spec)) {
      return { reason: 'launch-stuck', because: `no instance after ${minutes} minutes`, inferred: false };
    }
    if (row.activatedAt === undefined && now - (row.claimedAt ?? since) >= activationLimitMs) {
      return { reason: 'launch-stuck', because: `not active after ${minutes} minutes`, inferred: false };
    }
  }
  if (!isListed(world, spec.validator, row)) {
    const linkedAt = row.claimedAt ?? since;
    const { fetchedAt } = world.feeds.get(spec.validator)?.instances ?? {};
    if (absentTwice(`instance:${row.instanceId}`, fetchedAt, linkedAt)) {
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
