// The fleet as placing looks at it: sites (the GPUs of one model on one server), who sits on them, and what it would cost to clear some.

import { type Advice, weightOf } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import type { Fleet, Occupancy } from './fleet.ts';
import { bountyAgeMs, bountyBoost, firstFrom, multiplierAt, payAbove } from './pay.ts';
import { type Room, roomOf } from './room.ts';
import { tuning } from './tuning.ts';
import type { ChuteMarket, SiteFacts, World } from './world.ts';

const hourMs = 3_600_000;

export interface Tenant {
  spec: DeploymentSpec;
  gpus: number;
  /** Multiplier-hours that it would still earn within the horizon. */
  worth: number;
  terms?: { first: number; run: number; age: number };
  /** Factor on its worth, from the owner's strategy. */
  weight?: number;
  /** Multiplier that it earns now; undefined while it is not active. */
  rate: number | undefined;
  removable: boolean;
}

/** Tenants to remove, and the GPUs that they leave. */
export interface Clearing {
  victims: readonly Tenant[];
  loss: number;
}

export interface Site {
  room: Room;
  model: string;
  /** The room's own list: shrinks as GPUs are given out. */
  free: string[];
  kind: string;
  facts: SiteFacts | undefined;
  tenants: Tenant[];
  /** GPUs that are free or could be cleared: what a large deployment would find. */
  hole: number;
  /** Free GPUs as the ladders know them. */
  rungFree: number;
  /** Counts changes. */
  stamp: number;
  clearings: (Clearing | null | undefined)[];
}

export interface Field {
  sites: readonly Site[];
  byKind: ReadonlyMap<string, readonly Site[]>;
  /** Instances of a chute that may go before the last one on the network would; by chute id. */
  spare: Map<string, number>;
  /** What a GPU of a kind earns now, on average: multiplier per busy GPU. */
  rates: ReadonlyMap<string, number>;
  /** What a freed GPU of a kind would earn next. */
  floors: ReadonlyMap<string, number>;
}

export function kindKey(validator: string, tee: boolean, model: string): string {
  return `${validator} ${tee} ${model}`;
}

const kinds = new WeakMap<Chute, readonly { kind: string; model: string }[]>();

/** The kinds of site that suit a chute, in the order of its models. */
export function kindsOf(chute: Chute) {
  let known = kinds.get(chute);
  if (!known) {
    known = chute.supportedGpus.map((model) => ({ model, kind: kindKey(chute.validator, chute.tee, model) }));
    kinds.set(chute, known);
  }
  return known;
}

/** Multiplier of a chute without its bounty. */
export function runOf(chute: Chute, market: ChuteMarket | undefined): number {
  if (market?.runMultiplier !== undefined) return market.runMultiplier;
  const { effectiveComputeMultiplier: offered, bounty } = chute;
  return bounty > 0 ? offered / bountyBoost(bountyAgeMs(bounty)) : offered;
}

interface Layout {
  /** Of the server's GPUs. */
  models: readonly string[];
  /** Of each occupant: which of the models it is on; -1 for none. All GPUs of a deployment are one model. */
  places: readonly number[];
}

const layouts = new WeakMap<Occupancy, Layout>();

function layoutOf(here: Occupancy, { gpus }: Server): Layout {
  let layout = layouts.get(here);
  if (!layout) {
    const models = [...new Set(gpus.map(({ model }) => model))];
    const places = here.occupants.map(({ spec }) => {
      const first = gpus.find(({ gpuId }) => gpuId === spec?.gpuIds[0]);
      return first ? models.indexOf(first.model) : -1;
    });
    layout = { models, places };
    layouts.set(here, layout);
  }
  return layout;
}

export function fieldOf(
  world: World,
  fleet: Fleet,
  now: number,
  leaving: ReadonlySet<string>,
  floors: ReadonlyMap<string, number>,
  candidates: readonly { chute: Chute }[],
  advice?: Advice,
): Field {
  const kinds = new Set(candidates.flatMap(({ chute }) => kindsOf(chute).map(({ kind }) => kind)));
  function isWanted(occupancy: Occupancy, server: Server): boolean {
    return layoutOf(occupancy, server).models.some((model) => kinds.has(kindKey(server.validator, server.tee, model)));
  }
  const sites: Site[] = [];
  const byKind = new Map<string, Site[]>();
  for (const [name, room] of roomOf(world, fleet, isWanted)) {
    const occupancy = fleet.get(name);
    if (!occupancy) continue;
    const facts = world.sites?.get(name);
    const here: Site[] = [];
    const { models, places } = layoutOf(occupancy, room.server);
    for (const model of models) {
      let free = room.freeGpus.get(model);
      if (!free) {
        free = [];
        room.freeGpus.set(model, free);
      }
      const kind = kindKey(room.server.validator, room.server.tee, model);
      const site: Site = {
        room,
        model,
        free,
        kind,
        facts,
        tenants: [],
        hole: free.length,
        rungFree: free.length,
        stamp: 0,
        clearings: [],
      };
      sites.push(site);
      here.push(site);
      const same = byKind.get(kind);
      if (same) same.push(site);
      else byKind.set(kind, [site]);
    }
    for (let i = 0; i < places.length; i++) {
      const { spec, row } = occupancy.occupants[i] ?? {};
      if (!spec || leaving.has(spec.deploymentId)) continue;
      const site = here[places[i] ?? -1];
      if (!site) continue;
      const tenant = tenantOf(world, spec, row, now);
      if (advice) advise(tenant, site.model, advice);
      site.tenants.push(tenant);
    }
  }
  const field: Field = { sites, byKind, spare: spareOf(world), rates: new Map(), floors };
  reprice(field, floors);
  return field;
}

function advise(tenant: Tenant, model: string, { deployments, offers }: Advice): void {
  const { deploymentId, chuteId, server } = tenant.spec;
  const told = deployments.get(deploymentId);
  if (told === 'keep') tenant.removable = false;
  else tenant.weight = told ?? weightOf(offers.get(chuteId), model, server);
}

/** Everybody's worth anew, by what the fleet and the offers look like now. */
export function reprice(field: Field, floors: ReadonlyMap<string, number>): void {
  field.floors = floors;
  field.rates = ratesOf(field.byKind);
  for (const site of field.sites) {
    const floor = floors.get(site.kind) ?? 0;
    site.hole = site.free.length;
    site.clearings = [];
    site.stamp++;
    for (const tenant of site.tenants) {
      if (tenant.removable) site.hole += tenant.gpus;
      if (!tenant.terms) continue;
      const { first, run, age } = tenant.terms;
      const worth = payAbove(first, run, age, age + tuning.horizonHours, floor * tenant.gpus);
      tenant.worth = worth * (tenant.weight ?? 1);
    }
  }
}

function ratesOf(byKind: ReadonlyMap<string, readonly Site[]>): Map<string, number> {
  const rates = new Map<string, number>();
  for (const [kind, sites] of byKind) {
    let gpus = 0;
    let sum = 0;
    for (const { tenants } of sites) {
      for (const tenant of tenants) {
        if (tenant.rate === undefined) continue;
        gpus += tenant.gpus;
        sum += tenant.rate;
      }
    }
    rates.set(kind, gpus > 0 ? sum / gpus : 0);
  }
  return rates;
}

function spareOf(world: World): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { globalInstances } of world.feeds.values()) {
    for (const { chuteId } of globalInstances.items.values()) counts.set(chuteId, (counts.get(chuteId) ?? 0) + 1);
  }
  for (const [chuteId, { activeTotal }] of world.market ?? []) {
    if (activeTotal !== undefined) counts.set(chuteId, activeTotal);
  }
  for (const [chuteId, count] of counts) counts.set(chuteId, Math.max(0, count - 1));
  return counts;
}

export function tenantOf(
  world: World,
  spec: DeploymentSpec,
  row: DeploymentLifecycle | undefined,
  now: number,
): Tenant {
  const gpus = spec.gpuIds.length;
  const chute = world.chutes.get(spec.chuteId);
  const activatedAt = row?.activatedAt;
  const never = { spec, gpus, worth: Number.POSITIVE_INFINITY, removable: false };
  if (!chute || !row || activatedAt === undefined) return { ...never, rate: undefined };
  const age = (now - activatedAt) / hourMs;
  const run = runOf(chute, world.market?.get(spec.chuteId));
  const told = world.feeds.get(spec.validator)?.instances.items.get(row.instanceId ?? '')?.computeMultiplier;
  const first =
    world.firstMultipliers?.get(spec.deploymentId) ?? (told === undefined ? run : firstFrom(told, run, age));
  if (spec.jobId !== undefined) return { ...never, rate: first };
  const rate = multiplierAt(first, run, age);
  if (!spec.preemptible || !chute.preemptible) return { ...never, rate };
  return {
    spec,
    gpus,
    worth: 0,
    terms: { first, run, age },
    rate,
    removable: age > tuning.ageGuardHours,
  };
}

/** The cheapest tenants to remove so that `count` more GPUs come free, none of them of chute `except`; null if they do not. */
export function clearing(site: Site, count: number, field: Field, except: string | undefined): Clearing | null {
  const known = site.clearings[count];
  if (known === null) return null;
  if (known !== undefined && lastStays(known.victims, field)) {
    if (except === undefined || known.victims.every(({ spec }) => spec.chuteId !== except)) return known;
  }
  const removable = site.tenants.filter(
    ({ removable, spec: { chuteId } }) => removable && chuteId !== except && (field.spare.get(chuteId) ?? 0) > 0,
  );
  const found = cheapest(removable, count, field);
  if (except === undefined || !site.tenants.some(({ spec }) => spec.chuteId === except)) site.clearings[count] = found;
  return found;
}

/** Of each chute at least one instance stays on the network. */
export function lastStays(victims: readonly Tenant[], field: Field): boolean {
  if (victims.length === 1) return (field.spare.get(victims[0]?.spec.chuteId ?? '') ?? 0) > 0;
  const taken = new Map<string, number>();
  for (const { spec } of victims) {
    const n = (taken.get(spec.chuteId) ?? 0) + 1;
    if (n > (field.spare.get(spec.chuteId) ?? 0)) return false;
    taken.set(spec.chuteId, n);
  }
  return true;
}

/** Nobody is removed for nothing, even if it has no worth. */
const tinyLoss = 1e-6;

/** Exhaustive over at most eight tenants, which is what a server holds. */
function cheapest(tenants: readonly Tenant[], count: number, field: Field): Clearing | null {
  const all = tenants.reduce((sum, { gpus }) => sum + gpus, 0);
  if (all < count) return null;
  const order = [...tenants].sort((a, b) => a.worth - b.worth);
  let best: Clearing | null = null;
  const chosen: Tenant[] = [];
  /** `left`: GPUs of those from `from` on. */
  function search(from: number, gpus: number, left: number, loss: number): void {
    if (gpus >= count) {
      if (lastStays(chosen, field)) best = { victims: [...chosen], loss };
      return;
    }
    let rest = left;
    for (let i = from; i < order.length && gpus + rest >= count; i++) {
      const tenant = order[i] as Tenant;
      const next = loss + tenant.worth + tinyLoss;
      // Those that follow are worth no less.
      if (best && next >= best.loss) return;
      rest -= tenant.gpus;
      chosen.push(tenant);
      search(i + 1, gpus + tenant.gpus, rest, next);
      chosen.pop();
    }
  }
  search(0, 0, all, 0);
  return best;
}
