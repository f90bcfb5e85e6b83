// A batch of which nobody knows whether it landed is seen to before anything new is decided: what `live` carries by now is recorded, what
// is still right is committed again with the tokens that it holds, and the rest is given back.

import type { Decision, DeployDecision } from '../domain/decision.ts';
import { type Batch, commitAll, drop, idsOf, launchesOf, record, type Unsettled } from './commit.ts';
import type { PassPorts, Snapshot } from './pass.ts';
import type { PassMemory } from './swap.ts';

export interface Settled {
  memory: PassMemory;
  committed: readonly Decision[];
  obstacle: string | undefined;
  failure: unknown;
}

/** A token is good for two to three hours, and its pod needs some of that. */
const longestHeldMs = 3_600_000;

/** True while a launch is still what would be decided: the world may have changed since. */
function isStillRight(
  { spec }: DeployDecision,
  { world, policy }: Snapshot,
  unsettled: Unsettled,
  now: number,
): boolean {
  if (policy.mode === 'paused' || policy.denyChutes.includes(spec.chuteId)) return false;
  if (now - unsettled.since >= longestHeldMs) return false;
  const server = world.servers.find(({ name }) => name === spec.server);
  const isListed = world.chutes.get(spec.chuteId)?.version === spec.version && !world.goneChutes.has(spec.chuteId);
  return server !== undefined && !server.locked && isListed;
}

/** Sorts a batch by what `live` says now. */
function sortOut(unsettled: Unsettled, snapshot: Snapshot, now: number) {
  const present = snapshot.live.deployments;
  const isRight = (decision: DeployDecision) => isStillRight(decision, snapshot, unsettled, now);
  const onLive = (decision: Decision) => present.has(decision.spec.deploymentId);
  const removals = [...unsettled.removals, ...unsettled.swaps.flatMap(({ victims }) => victims)];
  const newcomers = [...unsettled.deploys, ...unsettled.ready.map(({ decision }) => decision)];
  const landed: Decision[] = [...newcomers.filter(onLive), ...removals.filter((decision) => !onLive(decision))];
  const vacated = unsettled.swaps.filter(({ victims }) => !victims.some(onLive));
  const open: Batch = {
    removals: unsettled.removals.filter(onLive),
    deploys: unsettled.deploys.filter((decision) => !onLive(decision) && isRight(decision)),
    swaps: unsettled.swaps.filter(({ deploy, victims }) => victims.some(onLive) && isRight(deploy)),
    ready: unsettled.ready.filter(({ decision }) => !onLive(decision) && isRight(decision)),
  };
  return { landed, vacated, open };
}

export async function settle(snapshot: Snapshot, ports: PassPorts, memory: PassMemory): Promise<Settled> {
  const { unsettled } = memory;
  if (!unsettled) return { memory, committed: [], obstacle: undefined, failure: undefined };
  const obstacle = await ports.obstacle?.();
  if (obstacle !== undefined) return { memory, committed: [], obstacle, failure: undefined };
  const { landed, vacated, open } = sortOut(unsettled, snapshot, ports.clock.now());
  if (landed.length > 0) await record(landed, () => snapshot.live.commit, ports);
  const alive = new Set(idsOf([...landed, ...launchesOf(open), ...vacated.map(({ deploy }) => deploy)]));
  await drop(
    launchesOf(unsettled).filter(({ spec }) => !alive.has(spec.deploymentId)),
    ports,
  );
  if (open.removals.length > 0) await ports.store.mark('removedAt', idsOf(open.removals), ports.clock.now());
  const done = await commitAll(open, snapshot, ports);
  const { since } = unsettled;
  const started = vacated.map(({ deploy, victims }) => ({ decision: deploy, victims: idsOf(victims), since }));
  const waiting = [...(memory.waiting ?? []), ...started, ...done.waiting];
  return {
    memory: { ...memory, waiting, unsettled: done.unsettled && { ...done.unsettled, since } },
    committed: [...landed, ...done.committed],
    obstacle: undefined,
    failure: done.failure,
  };
}
