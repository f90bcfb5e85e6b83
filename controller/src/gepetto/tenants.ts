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

/** `told`: what the validator says the instance earns now. */
function assess(tenant: Tenant, chute: Chute, run: number, row: Active, told: number | undefined, on: Market): void {
  const { spec } = tenant;
  const age = (on.now - row.activatedAt) / hourMs;
  const first =
    on.world.firstMultipliers?.get(spec.deploymentId) ?? (told === undefined ? run : firstFrom(told, run, age));
  if (spec.jobId !== undefined) {
    tenant.rate = first;
    return;
  }
  tenant.rate = multiplierAt(first, run, age);
  if (!spec.preemptible || !chute.preemptible) return;
  tenant.worth = 0;
  tenant.terms = { first, run, age };
  tenant.removable = age > tuning.ageGuardHours;
}

interface Market {
  world: World;
  now: number;
}

type Active = DeploymentLifecycle & { activatedAt: number };

function isActive(row: DeploymentLifecycle | undefined): row is Active {
  return row?.activatedAt !== undefined;
}

export function tenantOf(
  world: World,
  spec: DeploymentSpec,
  row: DeploymentLifecycle | undefined,
  now: number,
): Tenant {
  const tenant = newTenant(spec);
  const chute = world.chutes.get(spec.chuteId);
  if (!chute || !isActive(row)) return tenant;
  const told = world.feeds.get(spec.validator)?.instances.items.get(row.instanceId ?? '')?.computeMultiplier;
  assess(tenant, chute, runOf(chute, world.market?.get(spec.chuteId)), row, told, { world, now });
  return tenant;
}

/** One deployment on its site. Kept with its server from plan to plan; what a plan says of the tenant is said anew by the next. */
export interface Seat {
  place: number;
  row: Active | undefined;
  tenant: Tenant;
  told: number | undefined;
  toldBy: ReadonlyMap<string, unknown> | undefined;
}

const seats = new WeakMap<Occupancy, readonly Seat[]>();

/** `places`: where each occupant sits; -1 for nowhere. */
export function seatsOf(here: Occupancy, places: readonly number[]): readonly Seat[] {
  let known = seats.get(here);
  if (!known) {
    known = here.occupants.flatMap(({ spec, row }, i): Seat[] => {
      const place = places[i] ?? -1;
      if (!spec || place < 0) return [];
      return [
        { place, tenant: newTenant(spec), row: isActive(row) ? row : undefined, told: undefined, toldBy: undefined },
      ];
    });
    seats.set(here, known);
  }
  return known;
}

interface Running {
  chute: Chute;
  run: number;
  instances: Feeds['instances']['items'] | undefined;
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
  const market = { world, now };
  return (seat: Seat): Tenant => {
    const { tenant, row } = seat;
    tenant.worth = Number.POSITIVE_INFINITY;
    tenant.terms = undefined;
    tenant.weight = undefined;
    tenant.rate = undefined;
    tenant.removable = false;
    const on = row && (running.get(tenant.spec.chuteId) ?? runningOf(tenant.spec.chuteId));
    if (!on) return tenant;
    if (seat.toldBy !== on.instances || !on.instances) {
      seat.told = on.instances?.get(row.instanceId ?? '')?.computeMultiplier;
      seat.toldBy = on.instances;
    }
    assess(tenant, on.chute, on.run, row, seat.told, market);
    return tenant;
  };
}
