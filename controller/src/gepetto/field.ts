// The fleet as placing looks at it: sites (the GPUs of one model on one server), who sits on them, and what it would cost to clear some.

import { type Advice, weightOf } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { Server } from '../domain/server.ts';
import type { Clearing } from './clearing.ts';
import type { Fleet, Occupancy } from './fleet.ts';
import { payAbove } from './pay.ts';
import { type Room, roomOf } from './room.ts';
import { createSeating, seatsOf, type Tenant } from './tenants.ts';
import { tuning } from './tuning.ts';
import { modelKey, type SiteFacts, type World } from './world.ts';

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

/** A kind of site. One object for each, so that looking it up compares no texts. */
interface KindName {
  kind: string;
  /** Place in lists that have something for each kind. */
  id: number;
}

const kindNames = new Map<string, KindName>();

function kindNamed(validator: string, tee: boolean, model: string): KindName {
  const kind = `${validator} ${tee} ${model}`;
  let name = kindNames.get(kind);
  if (!name) {
    name = { kind, id: kindNames.size };
    kindNames.set(kind, name);
  }
  return name;
}

export function kindKey(validator: string, tee: boolean, model: string): string {
  return kindNamed(validator, tee, model).kind;
}

export function kindId(kind: string): number {
  return kindNames.get(kind)?.id ?? -1;
}

export interface Kind extends KindName {
  model: string;
  /** What failures of the chute on the model are remembered by. */
  failureKey: string;
}

const kinds = new WeakMap<Chute, readonly Kind[]>();

/** The kinds of site that suit a chute, in the order of its models. */
export function kindsOf(chute: Chute): readonly Kind[] {
  let known = kinds.get(chute);
  if (!known) {
    known = chute.supportedGpus.map((model) => ({
      model,
      ...kindNamed(chute.validator, chute.tee, model),
      failureKey: modelKey(chute, model),
    }));
    kinds.set(chute, known);
  }
  return known;
}

interface Layout {
  /** Of the server's GPUs. */
  models: readonly string[];
  /** Of each of the models. */
  kinds: readonly KindName[];
  /** Of each occupant: which of the models it is on; -1 for none. All GPUs of a deployment are one model. */
  places: readonly number[];
}

const layouts = new WeakMap<Occupancy, Layout>();

function layoutOf(here: Occupancy, { gpus, validator, tee }: Server): Layout {
  let layout = layouts.get(here);
  if (!layout) {
    const models = [...new Set(gpus.map(({ model }) => model))];
    const places = here.occupants.map(({ spec }) => {
      const first = gpus.find(({ gpuId }) => gpuId === spec?.gpuIds[0]);
      return first ? models.indexOf(first.model) : -1;
    });
    layout = { models, kinds: models.map((model) => kindNamed(validator, tee, model)), places };
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
  const wanted: boolean[] = [];
  for (const { chute } of candidates) for (const { id } of kindsOf(chute)) wanted[id] = true;
  function isWanted(occupancy: Occupancy, server: Server): boolean {
    return layoutOf(occupancy, server).kinds.some(({ id }) => wanted[id]);
  }
  const seated = createSeating(world, now);
  const sites: Site[] = [];
  const byKind = new Map<string, Site[]>();
  for (const [name, room] of roomOf(world, fleet, isWanted)) {
    const occupancy = fleet.get(name);
    if (!occupancy) continue;
    const facts = world.sites?.get(name);
    const here: Site[] = [];
    const layout = layoutOf(occupancy, room.server);
    for (const [place, model] of layout.models.entries()) {
      let free = room.freeGpus.get(model);
      if (!free) {
        free = [];
        room.freeGpus.set(model, free);
      }
      const kind = layout.kinds[place]?.kind ?? '';
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
    for (const seat of seatsOf(occupancy, layout.places)) {
      const site = here[seat.place];
      if (!site || (leaving.size > 0 && leaving.has(seat.tenant.spec.deploymentId))) continue;
      const tenant = seated(seat);
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
  for (const [chuteId, count] of counts) counts.set(chuteId, count - 1);
  for (const [chuteId, { activeTotal }] of world.market ?? []) {
    if (activeTotal !== undefined) counts.set(chuteId, Math.max(0, activeTotal - 1));
  }
  return counts;
}
