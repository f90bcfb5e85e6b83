// What somebody said about a deployment: the validator, a person, or the inventory. A statement removes at once and without a cap.

import type { DeploymentLifecycle, DeploymentSpec, RemoveReason } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import type { Occupancy } from './fleet.ts';
import type { World } from './world.ts';

export interface Verdict {
  reason: RemoveReason;
  because: string;
  /** Rests on absence, not on a statement: counts against the cap on mass removal. */
  inferred: boolean;
}

/** How `World.goneChutes` names one version of a chute that lives on in another. */
export function versionKey(chuteId: string, version: string): string {
  return `${chuteId}:${version}`;
}

export function stated(
  world: World,
  spec: DeploymentSpec,
  row: DeploymentLifecycle | undefined,
  { name, server }: Occupancy,
): Verdict | undefined {
  const inferred = false;
  if (world.undeployRequests.has(spec.deploymentId)) {
    return { reason: 'operator', because: 'a person asked for it', inferred };
  }
  if (row?.instanceGoneAt !== undefined) {
    const what = spec.jobId === undefined ? `deleted instance ${row.instanceId}` : `ended job ${spec.jobId}`;
    return { reason: 'instance-deleted', because: `the validator ${what}`, inferred };
  }
  const gone = goneOf(world, spec);
  if (gone) return { reason: 'chute-deleted', because: gone, inferred };
  if (!server && !world.configuredServers.has(name)) {
    return { reason: 'server-deleted', because: `server ${name} was deleted`, inferred };
  }
  const lost = goneGpu(spec, server);
  if (lost !== undefined) {
    return {
      reason: 'server-deleted',
      because: `GPU ${lost} is no longer in the inventory of ${name}`,
      inferred: true,
    };
  }
  const current = world.chutes.get(spec.chuteId)?.version;
  const rolls = row?.instanceId !== undefined && world.rollingInstances.has(row.instanceId);
  // A rental keeps its version to the end (gepetto.md D8).
  if (rolls && spec.jobId === undefined && current !== undefined && current !== spec.version) {
    return { reason: 'rolling-update', because: `the validator rolls ${spec.version} over to ${current}`, inferred };
  }
  // Decided in an earlier pass that ended before its commit, or brought back by hand: its token is spent and its Secret gone.
  if (row?.removedAt !== undefined) {
    return { reason: 'instance-deleted', because: 'its removal was decided before', inferred };
  }
  return undefined;
}

/** While a chute rolls over, the validator itself ends the old version, bit by bit and paid for (gepetto.md 4.7, R16). */
function goneOf(world: World, spec: DeploymentSpec): string | undefined {
  const { chuteId, version } = spec;
  if (world.feeds.get(spec.validator)?.rollingUpdates.items.has(chuteId)) return undefined;
  if (world.goneChutes.has(chuteId)) return 'the validator says the chute is gone';
  if (spec.jobId !== undefined || world.chutes.get(chuteId)?.version === version) return undefined;
  return world.goneChutes.has(versionKey(chuteId, version)) ? `the validator deleted version ${version}` : undefined;
}

/** Only a server whose inventory is known can miss a GPU. */
function goneGpu({ gpuIds }: DeploymentSpec, server: Server | undefined): string | undefined {
  if (!server || server.gpus.length === 0) return undefined;
  return gpuIds.find((gpuId) => !server.gpus.some((gpu) => gpu.gpuId === gpuId));
}
