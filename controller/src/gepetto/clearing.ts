// Whom to remove from a site so that GPUs come free: the cheapest of those who may go, never the last of a chute on the network.

import type { Field, Site } from './field.ts';
import type { Tenant } from './tenants.ts';

/** Tenants to remove, and the GPUs that they leave. */
export interface Clearing {
  victims: readonly Tenant[];
  loss: number;
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
