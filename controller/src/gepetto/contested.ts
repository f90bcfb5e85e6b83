// Two deployments of one tree that claim one GPU: our own guard writes no such tree, so somebody else did. The one whose pod is older
// keeps the GPU, the other goes (gepetto.md R23).

import type { Occupancy, Occupant } from './fleet.ts';
import type { Verdict } from './statements.ts';

const nobody: ReadonlyMap<string, Verdict> = new Map();

/** Verdicts on the losers of a server by deployment id. Those who wait for a GPU hold it rightly together with its holder. */
export function contestedGpus({ occupants }: Occupancy, waiting: ReadonlySet<string>): ReadonlyMap<string, Verdict> {
  // Nobody is settled where a GPU is claimed twice.
  if (occupants.some(({ settled }) => settled)) return nobody;
  const gpuIds: string[] = [];
  const holders: Occupant[] = [];
  let losers: Map<string, Verdict> | undefined;
  for (const occupant of occupants) {
    if (!occupant.spec || waiting.has(occupant.deploymentId)) continue;
    for (const gpuId of occupant.spec.gpuIds) {
      const at = gpuIds.indexOf(gpuId);
      const holder = holders[at];
      if (!holder) {
        gpuIds.push(gpuId);
        holders.push(occupant);
        continue;
      }
      const order = seniority(holder) - seniority(occupant) || (holder.deploymentId < occupant.deploymentId ? -1 : 1);
      const [keeper, loser] = order < 0 ? [holder, occupant] : [occupant, holder];
      holders[at] = keeper;
      losers ??= new Map();
      losers.set(loser.deploymentId, {
        reason: 'preempted',
        because: `GPU ${gpuId} belongs to the older deployment ${keeper.deploymentId}`,
        inferred: false,
      });
    }
  }
  return losers ?? nobody;
}

function seniority({ pods, row }: Occupant): number {
  const born = pods.map(({ createdAt }) => createdAt);
  // A deployment without a pod is younger than any with one.
  return born.length > 0 ? Math.min(...born) : Number.MAX_SAFE_INTEGER / 2 + (row?.plannedAt ?? 0);
}
