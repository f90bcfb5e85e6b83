// What the policy lets a plan do: prepared once for a plan, asked in O(1) about each launch and place, told what was given out. Nothing is
// credited that may still fail: a swap counts by its difference, and what it would free is not given to others.

import type { DeploymentLifecycle, DeploymentSpec } from '../domain/deployment.ts';
import type { Policy } from '../domain/policy.ts';
import type { Server } from '../domain/server.ts';
import { type Blocked, createBlockedList } from './blocked.ts';
import type { Removal } from './reconcile.ts';
import { roomOf } from './room.ts';
import type { World } from './world.ts';

/** A field of `policy` in miner.yaml that can stand against a launch or a removal. */
export type Rule =
  | 'mode'
  | 'allowChutes'
  | 'denyChutes'
  | 'chutes.maximum'
  | 'chutes.servers'
  | 'servers.allowChutes'
  | 'servers.denyChutes'
  | 'servers.maximum'
  | 'costCeiling'
  | 'reserve.total'
  | 'reserve.models'
  | 'limits.launches'
  | 'limits.removals';

export interface Launch {
  chute: { chuteId: string; name: string };
  gpuCount: number;
}

export interface Place {
  room: { server: Pick<Server, 'name' | 'hourlyCost'> };
  model: string;
}

interface Leaving {
  spec: DeploymentSpec;
}

export interface Allowance {
  /** The rule that keeps the chute from starting anywhere. */
  bars(launch: Launch): Rule | undefined;
  /** The rule that keeps it from starting there in place of `victims`. `stated`: that they go was not the planner's choice. */
  refusal(launch: Launch, place: Place, victims: readonly Leaving[], stated?: boolean): Rule | undefined;
  /** Own instances that the chute may still get. */
  roomFor(chuteId: string): number;
  minimumOf(chuteId: string): number;
  /** Lowers what may be swapped out of each chute to what its minimum leaves. */
  protect(spare: Map<string, number>): void;
  /** Removals that may go now, in their order; the others wait for the window to move on. */
  admit(removals: readonly Removal[]): Removal[];
  /** It goes without a successor. */
  leave(spec: DeploymentSpec): void;
  /** It is deployed, in place of `victims`. */
  take(spec: DeploymentSpec, victims: readonly Leaving[], stated?: boolean): void;
  /** A chute was kept from starting. */
  note(rule: Rule, launch: Pick<Launch, 'chute'>): void;
  blocked(): Blocked[];
}

const ofPlaces: ReadonlySet<Rule | undefined> = new Set<Rule>([
  'chutes.servers',
  'servers.allowChutes',
  'servers.denyChutes',
  'servers.maximum',
]);

/** Whether the rule refuses one server and may take another that is alike. */
export function isOfPlace(rule: Rule | undefined): boolean {
  return ofPlaces.has(rule);
}

const tiny = 1e-9;

/** Removals for these reasons are the planner's own conclusion; all others somebody stated. */
const concluded: ReadonlySet<string> = new Set(['preempted', 'pod-failed', 'pod-lost', 'launch-stuck']);

export function allowanceOf(world: World, policy: Policy, now: number): Allowance {
  const { costCeiling, reserve, limits } = policy;
  const allowed = policy.allowChutes && new Set(policy.allowChutes);
  const denied = new Set(policy.denyChutes);
  const chuteRules = new Map(
    Object.entries(policy.chutes).map(([id, rules]) => [
      id,
      { ...rules, pins: rules.servers && new Set(rules.servers) },
    ]),
  );
  const serverRules = new Map(
    Object.entries(policy.servers).map(([name, { allowChutes, denyChutes, maximum }]) => [
      name,
      { allowed: allowChutes && new Set(allowChutes), denied: new Set(denyChutes), maximum },
    ]),
  );
  const { own, active, onServer } = countsOf(world, chuteRules.size > 0 || serverRules.size > 0);
  const used = usedWithin(world, limits.minutes, now);
  const list = createBlockedList(policy, used);
  const servers = new Map(world.servers.map((server) => [server.name, server]));
  const free = freeOf(world, reserve);
  let launches = (limits.launches ?? Number.POSITIVE_INFINITY) - used.launches;
  let removals = (limits.removals ?? Number.POSITIVE_INFINITY) - used.removals;
  let cost = costCeiling === null ? 0 : costOf(world, servers);
  list.cost(cost);

  function add(map: Map<string, number>, key: string, by: number): void {
    map.set(key, (map.get(key) ?? 0) + by);
  }

  function roomFor(chuteId: string): number {
    const maximum = chuteRules.get(chuteId)?.maximum ?? Number.POSITIVE_INFINITY;
    return Math.max(0, maximum - (own.get(chuteId) ?? 0));
  }

  function ofChute(chuteId: string): Rule | undefined {
    if (denied.has(chuteId)) return 'denyChutes';
    return allowed?.has(chuteId) === false ? 'allowChutes' : undefined;
  }

  function ofServer(chuteId: string, name: string, more: number): Rule | undefined {
    if (chuteRules.get(chuteId)?.pins?.has(name) === false) return 'chutes.servers';
    const rules = serverRules.get(name);
    if (!rules) return undefined;
    if (rules.allowed?.has(chuteId) === false) return 'servers.allowChutes';
    if (rules.denied.has(chuteId)) return 'servers.denyChutes';
    const full = rules.maximum !== null && more > 0 && (onServer.get(name) ?? 0) + more > rules.maximum;
    return full ? 'servers.maximum' : undefined;
  }

  /** `more`: GPUs held afterwards that were not held before. */
  function ofFleet({ room, model }: Place, more: number): Rule | undefined {
    if (more <= 0) return undefined;
    if (costCeiling !== null && cost + more * room.server.hourlyCost > costCeiling + tiny) return 'costCeiling';
    if (!free) return undefined;
    if (free.total - more < reserve.total) return 'reserve.total';
    const kept = reserve.models[model];
    return kept !== undefined && (free.models.get(model) ?? 0) - more < kept ? 'reserve.models' : undefined;
  }

  function leave({ chuteId, deploymentId, jobId }: DeploymentSpec): void {
    add(own, chuteId, -1);
    const wasActive = jobId === undefined && world.lifecycles.get(deploymentId)?.activatedAt !== undefined;
    if (wasActive) add(active, chuteId, -1);
  }

  return {
    roomFor,
    bars({ chute: { chuteId } }) {
      const rule = ofChute(chuteId);
      if (rule) return rule;
      if (launches <= 0) return 'limits.launches';
      return roomFor(chuteId) <= 0 ? 'chutes.maximum' : undefined;
    },
    refusal({ chute: { chuteId }, gpuCount }, place, victims, stated = false) {
      const chute = ofChute(chuteId);
      if (chute) return chute;
      if (launches <= 0) return 'limits.launches';
      if (!stated && victims.length > 0 && victims.length > removals) return 'limits.removals';
      if (1 - sameChute(victims, chuteId) > roomFor(chuteId)) return 'chutes.maximum';
      const { name } = place.room.server;
      return ofServer(chuteId, name, 1 - victims.length) ?? ofFleet(place, gpuCount - gpusOf(victims));
    },
    minimumOf: (chuteId) => chuteRules.get(chuteId)?.minimum ?? 0,
    protect(spare) {
      for (const [chuteId, { minimum }] of chuteRules) {
        if (minimum === 0) continue;
        const left = Math.max(0, (active.get(chuteId) ?? 0) - minimum);
        spare.set(chuteId, Math.min(spare.get(chuteId) ?? 0, left));
      }
    },
    admit(asked) {
      const admitted = asked.filter((removal) => {
        if (!removal.inferred && !concluded.has(removal.reason)) return true;
        if (removals > 0) removals -= 1;
        else {
          list.note('limits.removals', removal.spec.deploymentId, removal.spec.chuteName);
          return false;
        }
        return true;
      });
      // An old version in a rolling update stays until its successor is there.
      for (const { spec, reason } of admitted) if (reason !== 'rolling-update') leave(spec);
      return admitted;
    },
    leave,
    take(spec, victims, stated = false) {
      launches -= 1;
      if (!stated) removals -= victims.length;
      add(own, spec.chuteId, 1 - sameChute(victims, spec.chuteId));
      add(onServer, spec.server, Math.max(0, 1 - victims.length));
      const more = Math.max(0, spec.gpuIds.length - gpusOf(victims));
      const server = servers.get(spec.server);
      cost += more * (server?.hourlyCost ?? 0);
      if (!free) return;
      free.total -= more;
      add(free.models, server?.gpus.find(({ gpuId }) => gpuId === spec.gpuIds[0])?.model ?? '', -more);
    },
    note: (rule, { chute }) => list.note(rule, chute.chuteId, chute.name),
    blocked: list.blocked,
  };
}

function gpusOf(victims: readonly Leaving[]): number {
  return victims.reduce((sum, { spec }) => sum + spec.gpuIds.length, 0);
}

function sameChute(victims: readonly Leaving[], chuteId: string): number {
  return victims.reduce((sum, { spec }) => sum + (spec.chuteId === chuteId ? 1 : 0), 0);
}

/** Own deployments by chute, those of them that are active and no rental, and deployments by server. */
function countsOf({ desired, lifecycles }: World, wanted: boolean) {
  const own = new Map<string, number>();
  const active = new Map<string, number>();
  const onServer = new Map<string, number>();
  if (!wanted) return { own, active, onServer };
  for (const { chuteId, deploymentId, jobId, server } of desired.values()) {
    own.set(chuteId, (own.get(chuteId) ?? 0) + 1);
    onServer.set(server, (onServer.get(server) ?? 0) + 1);
    if (jobId !== undefined || lifecycles.get(deploymentId)?.activatedAt === undefined) continue;
    active.set(chuteId, (active.get(chuteId) ?? 0) + 1);
  }
  return { own, active, onServer };
}

export interface Used {
  launches: number;
  removals: number;
}

/** What the window has seen, from times that survive a restart: tokens taken, and deployments removed without a statement. */
function usedWithin(world: World, minutes: number, now: number): Used {
  const since = now - minutes * 60_000;
  const used = { launches: 0, removals: 0 };
  for (const row of world.lifecycles.values()) {
    if (row.tokenAt !== undefined && row.tokenAt > since) used.launches += 1;
    if (row.removedAt !== undefined && row.removedAt > since && !wasStated(row, row.removedAt, world))
      used.removals += 1;
  }
  return used;
}

/** Never on `live`, asked for by a person, ended by the validator before, or of a version that the validator does not list any more. */
function wasStated(row: DeploymentLifecycle, removedAt: number, { chutes }: World): boolean {
  if (row.committedAt === undefined || row.undeployAt !== undefined) return true;
  if (row.instanceGoneAt !== undefined && row.instanceGoneAt <= removedAt) return true;
  return chutes.get(row.chuteId)?.version !== row.version;
}

/** Free GPUs, counted only where some are to be kept. */
function freeOf(world: World, { total, models }: Policy['reserve']) {
  if (total === 0 && Object.keys(models).length === 0) return undefined;
  const free = { total: 0, models: new Map<string, number>() };
  for (const { freeGpus } of roomOf(world).values()) {
    for (const [model, ids] of freeGpus) {
      free.total += ids.length;
      free.models.set(model, (free.models.get(model) ?? 0) + ids.length);
    }
  }
  return free;
}

/** USD per hour of every GPU that a deployment holds: wanted, or still ending. */
function costOf({ desired, lifecycles, pods }: World, servers: ReadonlyMap<string, Server>): number {
  const held = new Map<string, string>();
  const hold = ({ gpuIds, server }: { gpuIds: readonly string[]; server: string }) => {
    for (const gpuId of gpuIds) held.set(gpuId, server);
  };
  for (const row of lifecycles.values()) if (row.goneAt === undefined && !desired.has(row.deploymentId)) hold(row);
  for (const pod of pods) if (!desired.has(pod.deploymentId)) hold(pod);
  for (const spec of desired.values()) hold(spec);
  let cost = 0;
  for (const server of held.values()) cost += servers.get(server)?.hourlyCost ?? 0;
  return cost;
}
