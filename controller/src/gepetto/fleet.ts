// Who is on each server: spec, row and pods of every deployment side by side. Kept from plan to plan and made anew only for servers of
// which a spec, row or pod is another object than last time. Those objects never change, so the outcome is that of a fresh start.

import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import { addChanges, type Listed, listed, onServers } from './changes.ts';
import type { World } from './world.ts';

/** What git, the store and the cluster know of one deployment; at least one of them knows it. */
export interface Occupant {
  deploymentId: string;
  /** Undefined when git does not want it. */
  spec: DeploymentSpec | undefined;
  row: DeploymentLifecycle | undefined;
  pods: readonly ObservedPod[];
  /** It is active, and git, store, cluster and inventory agree about it: only the validator or a person can have news of it. */
  settled: boolean;
}

export interface Occupancy {
  name: string;
  /** Undefined when the inventory has no such server. */
  server: Server | undefined;
  occupants: Occupant[];
  /** Rows and pods of deployments that belong elsewhere: they hold what they hold here all the same. */
  strays: (DeploymentLifecycle | ObservedPod)[];
  /** All occupants are settled. */
  calm: boolean;
}

/** By server name, servers of the inventory first. A server of which nothing changed has the same occupancy as in the plan before. */
export type Fleet = ReadonlyMap<string, Occupancy>;

interface Parts {
  specs: Listed<DeploymentSpec>;
  rows: Listed<DeploymentLifecycle>;
  pods: Listed<ObservedPod>;
}

const nothing: Parts = { specs: listed([]), rows: listed([]), pods: listed([]) };

/** Of the last plan. */
let last: { parts: Parts; fleet: Fleet } = { parts: nothing, fleet: new Map() };

export function fleetOf(world: World): Fleet {
  const changed = new Set<string>();
  for (const server of world.servers) if (last.fleet.get(server.name)?.server !== server) changed.add(server.name);
  const before = last.parts;
  const parts = {
    specs: addChanges(changed, before.specs, [...world.desired.values()]),
    rows: addChanges(changed, before.rows, [...world.lifecycles.values()]),
    pods: addChanges(changed, before.pods, world.pods),
  };
  const fleet = patched(last.fleet, changed, parts, world) ?? joined(world.servers, parts, world);
  last = { parts, fleet };
  return fleet;
}

/** Undefined where servers come or go, or something belongs to two of them: rare enough to start afresh. */
function patched(before: Fleet, changed: ReadonlySet<string>, parts: Parts, world: World): Fleet | undefined {
  if (before.size !== world.servers.length) return undefined;
  const orphans = new Set<string>();
  for (const { server, occupants, strays } of before.values()) {
    if (!server || strays.length > 0) return undefined;
    for (const { deploymentId, spec, row } of occupants) if (!spec && !row) orphans.add(deploymentId);
  }
  const servers = world.servers.filter(({ name }) => changed.has(name));
  if (servers.length * 2 > world.servers.length) return undefined;
  const fresh = joined(
    servers,
    {
      specs: onServers(parts.specs, changed),
      rows: onServers(parts.rows, changed),
      pods: onServers(parts.pods, changed),
    },
    world,
  );
  if (fresh.size > servers.length) return undefined;
  for (const { occupants, strays } of fresh.values()) {
    if (strays.length > 0) return undefined;
    for (const { deploymentId, spec, row } of occupants) {
      if (!row && world.lifecycles.has(deploymentId)) return undefined;
      if ((spec || row) && orphans.has(deploymentId)) return undefined;
    }
  }
  const fleet = new Map<string, Occupancy>();
  for (const { name } of world.servers) {
    const there = before.get(name);
    if (!there) return undefined;
    fleet.set(name, fresh.get(name) ?? there);
  }
  return fleet;
}

const noPods: readonly ObservedPod[] = [];

function joined(servers: readonly Server[], { specs, rows, pods }: Parts, world: World): Fleet {
  const fleet = new Map<string, Occupancy>();

  function at(name: string): Occupancy {
    let here = fleet.get(name);
    if (!here) {
      here = { name, server: undefined, occupants: [], strays: [], calm: true };
      fleet.set(name, here);
    }
    return here;
  }

  /** The one that something seen on a server belongs to. */
  function occupantOf(seen: DeploymentLifecycle | ObservedPod): Occupant {
    const { deploymentId, server } = seen;
    const here = at(server);
    const found = find(here, deploymentId);
    if (found) return found;
    const owner = world.desired.get(deploymentId) ?? world.lifecycles.get(deploymentId);
    const home = owner && owner.server !== server ? find(at(owner.server), deploymentId) : undefined;
    if (home) {
      here.strays.push(seen);
      return home;
    }
    const occupant = { deploymentId, spec: undefined, row: undefined, pods: noPods, settled: false };
    here.occupants.push(occupant);
    return occupant;
  }

  for (const server of servers)
    fleet.set(server.name, { name: server.name, server, occupants: [], strays: [], calm: true });
  for (const spec of specs.things) {
    const { deploymentId, server } = spec;
    at(server).occupants.push({ deploymentId, spec, row: undefined, pods: noPods, settled: false });
  }
  for (const row of rows.things) occupantOf(row).row = row;
  for (const pod of pods.things) {
    const occupant = occupantOf(pod);
    occupant.pods = occupant.pods === noPods ? [pod] : [...occupant.pods, pod];
  }
  for (const here of fleet.values()) settle(here);
  return fleet;
}

function find({ occupants }: Occupancy, deploymentId: string): Occupant | undefined {
  for (const occupant of occupants) if (occupant.deploymentId === deploymentId) return occupant;
  return undefined;
}

/** Nobody on a server is settled while two claim the same GPU, or one that the server does not have. */
function settle(here: Occupancy): void {
  const { server, occupants } = here;
  const free = new Set(server?.gpus.map(({ gpuId }) => gpuId));
  here.calm = occupants.length === 0;
  for (const { spec } of occupants) for (const gpuId of spec?.gpuIds ?? []) if (!free.delete(gpuId)) return;
  for (const occupant of occupants) occupant.settled = isSettled(occupant);
  here.calm = occupants.every(({ settled }) => settled);
}

/** Of the last plan that asked. `doubled`: an instance stands in two rows, so that one of them is not to be seen here. */
let indexed: { fleet: Fleet; byInstance: Map<string, Occupant>; doubled: boolean } | undefined;

/** Occupants by the instance that their row names. Kept like the fleet: only servers that changed are looked at. */
export function instancesOf(fleet: Fleet): ReadonlyMap<string, Occupant> {
  if (fleet === indexed?.fleet) return indexed.byInstance;
  if (!indexed || indexed.doubled || !moveIndex(indexed.byInstance, indexed.fleet, fleet)) {
    const byInstance = new Map<string, Occupant>();
    indexed = { fleet, byInstance, doubled: !addInstances(byInstance, fleet.values()) };
  }
  indexed.fleet = fleet;
  return indexed.byInstance;
}

/** False when an instance was there already: then the last one counts. */
function addInstances(byInstance: Map<string, Occupant>, places: Iterable<Occupancy>): boolean {
  let distinct = true;
  for (const { occupants } of places) {
    for (const occupant of occupants) {
      const instanceId = occupant.row?.instanceId;
      if (instanceId === undefined) continue;
      if (byInstance.has(instanceId)) distinct = false;
      byInstance.set(instanceId, occupant);
    }
  }
  return distinct;
}

function moveIndex(byInstance: Map<string, Occupant>, before: Fleet, after: Fleet): boolean {
  for (const [name, { occupants }] of before) {
    if (after.get(name)?.occupants === occupants) continue;
    for (const { row } of occupants) if (row?.instanceId !== undefined) byInstance.delete(row.instanceId);
  }
  const changed = [...after.values()].filter((here) => before.get(here.name) !== here);
  return addInstances(byInstance, changed);
}

function isSettled({ spec, row, pods }: Occupant): boolean {
  if (!spec || !row || pods.length === 0) return false;
  if (pods.some(({ phase }) => phase === 'Failed' || phase === 'Succeeded')) return false;
  if (row.committedAt === undefined || row.runningAt === undefined || row.instanceId === undefined) return false;
  if (row.verifiedAt === undefined || row.activatedAt === undefined) return false;
  return row.instanceGoneAt === undefined && row.removedAt === undefined;
}
