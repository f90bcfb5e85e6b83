// Who sits on a site, and what each would still earn. Tenants are kept with their server from plan to plan, because a full fleet has
// thousands of them; what a plan says of them is said anew by the next.

import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec } from '../domain/deployment.ts';
import type { Feeds } from '../domain/ports.ts';
import type { Occupancy } from './fleet.ts';
import { bountyAgeMs, bountyBoost, firstFrom, multiplierAt } from './pay.ts';
import { tuning } from './tuning.ts';
import type { ChuteMarket, World } from './world.ts';

const hourMs = 3_600_000;

export interface Tenant {
  spec: DeploymentSpec;
  gpus: number;
  /** Multiplier-hours that it would still earn within the horizon. */
  worth: number;
  terms: { first: number; run: number; age: number } | undefined;
  /** Factor on its worth, from the owner's strategy. */
  weight: number | undefined;
  /** Multiplier that it earns now; undefined while it is not active. */
  rate: number | undefined;
  removable: boolean;
}

/** Multiplier of a chute without its bounty. */
export function runOf(chute: Chute, market: ChuteMarket | undefined): number {
  if (market?.runMultiplier !== undefined) return market.runMultiplier;
  const { effectiveComputeMultiplier: offered, bounty } = chute;
  return bounty > 0 ? offered / bountyBoost(bountyAgeMs(bounty)) : offered;
}

function newTenant(spec: DeploymentSpec): Tenant {
  const gpus = spec.gpuIds.length;
  const worth = Number.POSITIVE_INFINITY;
  return { spec, gpus, worth, terms: undefined, weight: undefined, rate: undefined, removable: false };
}

/** One deployment on its site. Kept with its server from plan to plan; what a plan says of the tenant is said anew by the next. */
export interface Seat {
  place: number;
  tenant: Tenant;
  /** Of spec and row, side by side: a full fleet is looked at in every plan. */
  chuteId: string;
  deploymentId: string;
  instanceId: string | undefined;
  isJob: boolean;
  preemptible: boolean;
  /** Undefined while it is not active. */
  activatedAt: number | undefined;
  terms: NonNullable<Tenant['terms']>;
  told: number | undefined;
  toldBy: ReadonlyMap<string, unknown> | undefined;
}

function seatOf(spec: DeploymentSpec, row: DeploymentLifecycle | undefined, place: number): Seat {
  return {
    place,
    tenant: newTenant(spec),
    chuteId: spec.chuteId,
    deploymentId: spec.deploymentId,
    instanceId: row?.instanceId,
    isJob: spec.jobId !== undefined,
    preemptible: spec.preemptible,
    activatedAt: row?.activatedAt,
    terms: { first: 0, run: 0, age: 0 },
    told: undefined,
    toldBy: undefined,
  };
}

interface Running {
  chute: Chute;
  run: number;
  instances: Feeds['instances']['items'] | undefined;
}

function assess(seat: Seat, activatedAt: number, { chute, run, instances }: Running, world: World, now: number): void {
  if (seat.toldBy !== instances || !instances) {
    seat.told = instances?.get(seat.instanceId ?? '')?.computeMultiplier;
    seat.toldBy = instances;
  }
  const { tenant, terms, told } = seat;
  const age = (now - activatedAt) / hourMs;
  const first =
    world.firstMultipliers?.get(seat.deploymentId) ?? (told === undefined ? run : firstFrom(told, run, age));
  if (seat.isJob) {
    tenant.rate = first;
    return;
  }
  tenant.rate = multiplierAt(first, run, age);
  if (!seat.preemptible || !chute.preemptible) return;
  tenant.worth = 0;
  terms.first = first;
  terms.run = run;
  terms.age = age;
  tenant.terms = terms;
  tenant.removable = age > tuning.ageGuardHours;
}

export function tenantOf(
  world: World,
  spec: DeploymentSpec,
  row: DeploymentLifecycle | undefined,
  now: number,
): Tenant {
  return createSeating(world, now)(seatOf(spec, row, 0));
}

const seats = new WeakMap<Occupancy, readonly Seat[]>();

/** `places`: where each occupant sits; -1 for nowhere. */
export function seatsOf(here: Occupancy, places: readonly number[]): readonly Seat[] {
  let known = seats.get(here);
  if (!known) {
    known = here.occupants.flatMap(({ spec, row }, i) => {
      const place = places[i] ?? -1;
      return spec && place >= 0 ? [seatOf(spec, row, place)] : [];
    });
    seats.set(here, known);
  }
  return known;
}

/** Says of each seat what its tenant is worth now. */
export function createSeating(world: World, now: number) {
  const running = new Map<string, Running>();
  function runningOf(chuteId: string): Running | undefined {
    const chute = world.chutes.get(chuteId);
    const instances = chute && world.feeds.get(chute.validator)?.instances.items;
    const on = chute && { chute, run: runOf(chute, world.market?.get(chuteId)), instances };
    if (on) running.set(chuteId, on);
    return on;
  }
  return (seat: Seat): Tenant => {
    const { tenant, chuteId, activatedAt } = seat;
    tenant.worth = Number.POSITIVE_INFINITY;
    tenant.terms = undefined;
    tenant.weight = undefined;
    tenant.rate = undefined;
    tenant.removable = false;
    const on = activatedAt === undefined ? undefined : (running.get(chuteId) ?? runningOf(chuteId));
    if (on && activatedAt !== undefined) assess(seat, activatedAt, on, world, now);
    return tenant;
  };
}
