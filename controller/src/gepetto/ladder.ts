// The sites of one kind in the order of what it costs to get so many GPUs there: kept sorted while a plan takes room away, so that the
// best site is found without looking at all of them.

import { clearing, type Field, type Site } from './field.ts';

export interface Rung {
  site: Site;
  /** At least what the tenants to remove would still earn; 0 when enough is free. */
  loss: number;
}

export interface Ladders {
  /** Sites of the kind that have or can clear `gpus`, cheapest loss first, then hourly cost, tightest fit, name. */
  of(kind: string, gpus: number): readonly Rung[];
  /** The site changed: free GPUs or tenants. */
  touch(site: Site): void;
}

function order(a: Rung, b: Rung): number {
  if (a.loss !== b.loss) return a.loss - b.loss;
  const x = a.site;
  const y = b.site;
  if (x.room.server.hourlyCost !== y.room.server.hourlyCost) return x.room.server.hourlyCost - y.room.server.hourlyCost;
  if (x.rungFree !== y.rungFree) return x.rungFree - y.rungFree;
  return x.room.server.name < y.room.server.name ? -1 : 1;
}

export function createLadders(field: Field): Ladders {
  const ladders = new Map<string, Map<number, Rung[]>>();

  function rungOf(site: Site, gpus: number): Rung | undefined {
    const lacking = gpus - site.free.length;
    if (lacking <= 0) return { site, loss: 0 };
    const found = clearing(site, lacking, field, undefined);
    return found ? { site, loss: found.loss } : undefined;
  }

  return {
    of(kind, gpus) {
      let byCount = ladders.get(kind);
      if (!byCount) {
        byCount = new Map();
        ladders.set(kind, byCount);
      }
      let rungs = byCount.get(gpus);
      if (!rungs) {
        rungs = [];
        for (const site of field.byKind.get(kind) ?? []) {
          const rung = rungOf(site, gpus);
          if (rung) rungs.push(rung);
        }
        rungs.sort(order);
        byCount.set(gpus, rungs);
      }
      return rungs;
    },
    touch(site) {
      const byCount = ladders.get(site.kind);
      const free = site.free.length;
      for (const [gpus, rungs] of byCount ?? []) {
        const at = rungs.findIndex((rung) => rung.site === site);
        if (at >= 0) rungs.splice(at, 1);
        const rung = rungOf(site, gpus);
        if (!rung) continue;
        const was = site.rungFree;
        site.rungFree = free;
        let low = 0;
        let high = rungs.length;
        while (low < high) {
          const middle = (low + high) >> 1;
          if (order(rungs[middle] as Rung, rung) < 0) low = middle + 1;
          else high = middle;
        }
        rungs.splice(low, 0, rung);
        site.rungFree = was;
      }
      site.rungFree = free;
    },
  };
}
