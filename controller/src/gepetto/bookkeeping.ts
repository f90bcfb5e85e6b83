// Bookkeeping and clean-up that need no commit: what pods, feeds and git show that the store does not know yet. All of it may be repeated
// without harm, and none of it rests on one look at something missing.

import type { DeploymentLifecycle } from '../domain/deployment.ts';
import type { Effect } from './effects.ts';
import { type Fleet, instancesOf, type Occupant } from './fleet.ts';
import type { World } from './world.ts';

/** Time Argo CD gets to create a pod that was never seen, ms. */
const createGraceMs = 60_000;

/** True once a key is absent from two snapshots, both newer than a time plus the grace. */
export type AbsentTwice = (key: string, snapshotAt: number | undefined, since: number) => boolean;

/** `waiting`: deployments that hold a token and wait for their place; they are in no tree yet. */
export function effectsOf(
  world: World,
  fleet: Fleet,
  now: number,
  absentTwice: AbsentTwice,
  waiting: ReadonlySet<string>,
): Effect[] {
  const effects: Effect[] = [];
  const claimed = new Set<string>();
  for (const { server, occupants, calm } of fleet.values()) {
    if (calm) continue;
    for (const { deploymentId, spec, row, settled } of occupants) {
      if (settled) continue;
      if (row?.committedAt === undefined) for (const gpuId of row?.gpuIds ?? []) claimed.add(gpuId);
      if (!spec || waiting.has(deploymentId)) continue;
      if (!row) {
        // A manifest outlives its server by a pass: a row needs a server to belong to.
        if (server) effects.push({ kind: 'adopt', spec });
      } else if (row.committedAt === undefined) {
        // The miner died between the commit and the note of it.
        effects.push({ kind: 'mark', step: 'committedAt', deploymentId, at: now });
      }
    }
  }
  for (const { occupants, calm } of fleet.values()) {
    if (calm) continue;
    for (const occupant of occupants) {
      const { row, settled } = occupant;
      if (row && !settled) addRowEffects(effects, world, occupant, row, now, claimed);
    }
  }
  const byInstance = instancesOf(fleet);
  let byConfig: ReadonlyMap<string | undefined, DeploymentLifecycle> | undefined;
  function withConfig(configId: string): DeploymentLifecycle | undefined {
    byConfig ??= new Map([...world.lifecycles.values()].map((row) => [row.configId, row]));
    return byConfig.get(configId);
  }
  for (const [validator, { instances }] of world.feeds) {
    for (const instance of instances.items.values()) {
      const { instanceId, configId, chuteId } = instance;
      const own = byInstance.get(instanceId);
      if (own?.settled) continue;
      const row = own?.row ?? (configId === undefined ? undefined : withConfig(configId));
      if (!row) {
        // A launch config is stored before its pod can start, so an unknown one belongs to nobody.
        if (absentTwice(`unknown:${instanceId}`, instances.fetchedAt, 0)) {
          effects.push({ kind: 'delete-instance', validator, chuteId, instanceId, deploymentId: undefined });
        }
        continue;
      }
      if (row.instanceId === undefined && configId !== undefined) {
        effects.push({ kind: 'link-instance', configId, instanceId, at: now });
      }
      if (row.instanceId !== undefined && row.instanceId !== instanceId) continue;
      if (row.verifiedAt === undefined && instance.verifiedAt !== undefined) {
        effects.push({ kind: 'mark-instance', step: 'verifiedAt', instanceId, at: instance.verifiedAt });
      }
      if (row.activatedAt === undefined && instance.active) {
        effects.push({ kind: 'mark-instance', step: 'activatedAt', instanceId, at: instance.activatedAt ?? now });
      }
    }
  }
  return effects;
}

/** `claimed`: GPUs of launches that were never committed. */
function addRowEffects(
  effects: Effect[],
  world: World,
  { deploymentId, spec, pods }: Occupant,
  row: DeploymentLifecycle,
  now: number,
  claimed: ReadonlySet<string>,
): void {
  if (row.runningAt === undefined && pods.some((pod) => pod.phase === 'Running')) {
    effects.push({ kind: 'mark', step: 'runningAt', deploymentId, at: now });
  }
  if (spec) return;
  // Planned but never committed, or taken out by a person's revert.
  if (row.removedAt === undefined) {
    if (row.jobId !== undefined && row.committedAt === undefined && row.activatedAt === undefined) {
      effects.push({ kind: 'release-job', validator: row.validator, jobId: row.jobId });
    }
    const swapped = row.committedAt !== undefined && row.gpuIds.some((gpuId) => claimed.has(gpuId));
    effects.push(
      swapped
        ? { kind: 'finish-removal', deploymentId, at: now }
        : { kind: 'mark', step: 'removedAt', deploymentId, at: now },
    );
  }
  if (row.removedAt === undefined || row.goneAt !== undefined) return;
  if (row.instanceId !== undefined && row.instanceGoneAt === undefined) {
    const { validator, chuteId, instanceId } = row;
    effects.push({ kind: 'delete-instance', validator, chuteId, instanceId, deploymentId });
  }
  // The validator refuses a GPU that it still counts in another instance, and the launch is burnt (gepetto.md 4.7).
  if (row.instanceId !== undefined && row.instanceGoneAt === undefined) return;
  const health = world.health.get(row.server);
  // A pod that was never seen may still be on its way through Argo CD; one that ran is gone when the list says so.
  const quietSince = row.removedAt + (row.runningAt === undefined ? createGraceMs : 0);
  if (pods.length === 0 && health?.state === 'healthy' && (health.syncedAt ?? 0) > quietSince) {
    effects.push({ kind: 'mark', step: 'goneAt', deploymentId, at: now });
  }
}
