// What a freed GPU of each kind would earn next: the shadow price that every use of it has to beat.

import type { Candidate } from './candidates.ts';
import { kindsOf, runOf } from './field.ts';
import { tuning } from './tuning.ts';
import type { World } from './world.ts';

/** Multiplier per GPU by kind: that of the offers at hand, less so much of the best ones as others may take first. */
export function floorsOf(candidates: readonly Candidate[], world: World): Map<string, number> {
  const offers = candidates
    .filter(({ job, chute }) => !job && chute.preemptible)
    .map(({ chute, room, gpuCount }) => {
      return { chute, gpus: room * gpuCount, density: runOf(chute, world.market?.get(chute.chuteId)) / gpuCount };
    })
    .sort((a, b) => b.density - a.density);
  const floors = new Map<string, number>();
  const seen = new Map<string, number>();
  for (const { chute, gpus, density } of offers) {
    for (const { kind } of kindsOf(chute)) {
      if (floors.has(kind)) continue;
      const sum = (seen.get(kind) ?? 0) + gpus;
      seen.set(kind, sum);
      if (sum >= tuning.floorGpus) floors.set(kind, density * tuning.floorShare);
    }
  }
  return floors;
}
