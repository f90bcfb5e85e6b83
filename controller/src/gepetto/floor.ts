// What a freed GPU of each kind would earn next: the shadow price that every use of it has to beat.

import type { Advice } from '../domain/advice.ts';
import { type Candidate, keyOf } from './candidates.ts';
import { type Kind, kindsOf } from './field.ts';
import { runOf } from './tenants.ts';
import { tuning } from './tuning.ts';
import type { World } from './world.ts';

/** The same multiplier per GPU on each of the kinds. */
interface Offer {
  kinds: readonly Kind[];
  gpus: number;
  density: number;
}

/** Multiplier per GPU by kind: that of the offers at hand, less so much of the best ones as others may take first. */
export function floorsOf(candidates: readonly Candidate[], world: World, advice?: Advice): Map<string, number> {
  const offers: Offer[] = [];
  for (const candidate of candidates) {
    const { job, chute, room, gpuCount } = candidate;
    if (job || !chute.preemptible) continue;
    const gpus = room * gpuCount;
    const density = runOf(chute, world.market?.get(chute.chuteId)) / gpuCount;
    const told = advice?.offers.get(keyOf(candidate));
    const kinds = kindsOf(chute);
    if (!told) offers.push({ kinds, gpus, density });
    else
      for (const one of kinds) {
        if (told.closed.has(one.model)) continue;
        offers.push({ kinds: [one], gpus, density: density * (told.score.get(one.model) ?? 1) });
      }
  }
  offers.sort((a, b) => b.density - a.density);
  const floors = new Map<string, number>();
  const seen: number[] = [];
  for (const { kinds, gpus, density } of offers) {
    for (const { kind, id } of kinds) {
      const before = seen[id] ?? 0;
      if (before >= tuning.floorGpus) continue;
      const sum = before + gpus;
      seen[id] = sum;
      if (sum >= tuning.floorGpus) floors.set(kind, density * tuning.floorShare);
    }
  }
  return floors;
}
