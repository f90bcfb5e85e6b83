// The sites of one kind in the order of what it costs to get so many GPUs there: kept sorted while a plan takes room away, so that the
// best site is found without looking at all of them.

import { clearing } from './clearing.ts';
import type { Field, Site } from './field.ts';

export interface Rung {
  site: Site;
  /** At least what the tenants to remove would still earn; 0 when enough is free. */
  loss: number;
}

/** Sites of a kind that have or can clear so many GPUs; each list by cheapest loss, then hourly cost, tightest fit, name. */
export interface Ladder {
  /** Where enough is free and no facts are known, by the size of the hole: sites of one list differ in price and name alone. */
  plain: readonly (readonly Rung[] | undefined)[];
  others: readonly Rung[];
}

export interface Ladders {
  of(kind: string, gpus: number): Ladder;
  /** The site changed: free GPUs or tenants. */
  touch(site: Site): void;
}

interface Placed extends Rung {
  list: Placed[];
}

interface Lists {
  plain: (Placed[] | undefined)[];
  others: Placed[];
  bySite: Map<Site, Placed>;
}

function order(a: Rung, b: Rung): number {
  if (a.loss !== b.loss) return a.loss - b.loss;
  const x = a.site;
  const y = b.site;
  if (x.room.server.hourlyCost !== y.room.server.hourlyCost) return x.room.server.hourlyCost - y.room.server.hourlyCost;
  if (x.rungFree !== y.rungFree) return x.rungFree - y.rungFree;
  return x.room.server.name < y.room.server.name ? -1 : 1;
}

/** Place of the first rung that does not come before this one: its own, if it is there. */
function placeOf(rung: Placed): number {
  const { list } = rung;
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = list[middle] as Placed;
    if (other !== rung && order(other, rung) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function createLadders(field: Field): Ladders {
  const ladders = new Map<string, Map<number, Lists>>();

  /** Undefined where so many GPUs do not come free. */
  function rungOf(site: Site, gpus: number, lists: Lists): Placed | undefined {
    const lacking = gpus - site.free.length;
    const found = lacking > 0 ? clearing(site, lacking, field, undefined) : undefined;
    if (found === null) return undefined;
    let list = lists.others;
    if (!found && !site.facts) {
      list = lists.plain[site.hole] ?? [];
      lists.plain[site.hole] = list;
    }
    const rung = { site, loss: found?.loss ?? 0, list };
    lists.bySite.set(site, rung);
    return rung;
  }

  function made(kind: string, gpus: number): Lists {
    const lists: Lists = { plain: [], others: [], bySite: new Map() };
    for (const site of field.byKind.get(kind) ?? []) {
      const rung = rungOf(site, gpus, lists);
      rung?.list.push(rung);
    }
    lists.others.sort(order);
    for (const list of lists.plain) list?.sort(order);
    return lists;
  }

  return {
    of(kind, gpus) {
      let byCount = ladders.get(kind);
      if (!byCount) {
        byCount = new Map();
        ladders.set(kind, byCount);
      }
      let lists = byCount.get(gpus);
      if (!lists) {
        lists = made(kind, gpus);
        byCount.set(gpus, lists);
      }
      return lists;
    },
    touch(site) {
      const free = site.free.length;
      const was = site.rungFree;
      for (const [gpus, lists] of ladders.get(site.kind) ?? []) {
        const before = lists.bySite.get(site);
        if (before) before.list.splice(placeOf(before), 1);
        lists.bySite.delete(site);
        const rung = rungOf(site, gpus, lists);
        if (!rung) continue;
        site.rungFree = free;
        rung.list.splice(placeOf(rung), 0, rung);
        site.rungFree = was;
      }
      site.rungFree = free;
    },
  };
}
