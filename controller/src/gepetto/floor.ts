// What a freed GPU of each kind would earn next: the shadow price that every use of it has to beat.

import type { Advice } from '../domain/advice.ts';
import { type Candidate, keyOf } from './candidates.ts';
import { kindsOf } from './field.ts';
import { runOf } from './tenants.ts';
import { tuning } from './tuning.ts';
import type { World } from './world.ts';

/** Multiplier per GPU by kind: that of the offers at hand, less so much of the best ones as others may take first. */
export function floorsOf(candidates: readonly Candidate[], world: World, advice?: Advice): Map<string, number> {
  const offers = candidates
    .filter(({ job, chute }) => !job && chute.preemptible)
    .flatMap((candidate) => {
      const { chute, room, gpuCount } = candidate;
      const gpus = room * gpuCount;
      const density = runOf(chute, world.market?.get(chute.chuteId)) / gpuCount;
      const told = advice?.offers.get(keyOf(candidate));
      return kindsOf(chute)
        .filter(({ model }) => !told?.closed.has(model))
        .map(({ kind, model }) => ({ kind, gpus, density: density * (told?.score.get(model) ?? 1) }));
    })
    .sort((a, b) => b.density - a.density);
  const floors = new Map<string, number>();
  const seen = new Map<string, number>();
  for (const { kind, gpus, density } of offers) {
    if (floors.has(kind)) continue;
    const sum = (seen.get(kind) ?? 0) + gpus;
    seen.set(kind, sum);
    if (sum >= tuning.floorGpus) floors.set(kind, density * tuning.floorShare);
  }
  return floors;
}
