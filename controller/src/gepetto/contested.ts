// Two deployments of one tree that claim one GPU: our own guard writes no such tree, so somebody else did. The one whose pod is older
// keeps the GPU, the other goes (gepetto.md R23).

import type { DeploymentSpec, ObservedPod } from '../domain/deployment.ts';
import type { Verdict } from './statements.ts';
import type { World } from './world.ts';

/** Verdicts on the losers by deployment id. Those who wait for a GPU hold it rightly together with its holder. */
export function contestedGpus(
  world: World,
  podsOf: ReadonlyMap<string, readonly ObservedPod[]>,
  waiting: ReadonlySet<string>,
): ReadonlyMap<string, Verdict> {
  const holders = new Map<string, DeploymentSpec>();
  const losers = new Map<string, Verdict>();

  function seniority({ deploymentId }: DeploymentSpec): number {
    const born = (podsOf.get(deploymentId) ?? []).map(({ createdAt }) => createdAt);
    const row = world.lifecycles.get(deploymentId);
    // A deployment without a pod is younger than any with one.
    return born.length > 0 ? Math.min(...born) : Number.MAX_SAFE_INTEGER / 2 + (row?.plannedAt ?? 0);
  }

  for (const spec of world.desired.values()) {
    if (waiting.has(spec.deploymentId)) continue;
    for (const gpuId of spec.gpuIds) {
      const holder = holders.get(gpuId);
      if (!holder) {
        holders.set(gpuId, spec);
        continue;
      }
      const order = seniority(holder) - seniority(spec) || (holder.deploymentId < spec.deploymentId ? -1 : 1);
      const [keeper, loser] = order < 0 ? [holder, spec] : [spec, holder];
      holders.set(gpuId, keeper);
      losers.set(loser.deploymentId, {
        reason: 'preempted',
        because: `GPU ${gpuId} belongs to the older deployment ${keeper.deploymentId}`,
        inferred: false,
      });
    }
  }
  return losers;
}
