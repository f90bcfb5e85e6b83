// A swap takes three steps, so that nothing is lost for nothing: the newcomer's token, then a commit without the victims, and once their
// pods are gone a commit with the newcomer (gepetto.md W6, 10.3). What is between two steps is remembered here from pass to pass.

import type { Advice } from '../domain/advice.ts';
import type { DeployDecision, RemoveDecision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import type { Unsettled } from './commit.ts';
import { isOpen } from './room.ts';
import type { Memory, World } from './world.ts';

/** A deployment that holds its token and waits for the GPUs of those that it replaces. */
export interface Waiting {
  /** With its `configId`. */
  decision: DeployDecision;
  /** Deployment ids. */
  victims: readonly string[];
  /** When the victims were taken out of git, ms. */
  since: number;
}

/** What a pass remembers besides the plan's memory; every field starts empty. */
export interface PassMemory extends Memory {
  waiting?: readonly Waiting[];
  /** Nobody knows whether it landed: seen to before anything new is decided. */
  unsettled?: Unsettled | undefined;
  /** Rolling updates with the new version beside the old one: new deployment by old. */
  rolled?: ReadonlyMap<string, string>;
  /** Jobs whose only token was asked for (gepetto.md 6). */
  attempted?: ReadonlySet<string>;
  /** What the owner's strategy said last, for whoever plans without deciding. */
  advice?: Advice | undefined;
  /** Deployments for which the last pass made a row. */
  adopted?: ReadonlySet<string>;
}

/** A pod gets three minutes to end; a token that waited this long is given back, so that the GPUs are not held for nothing. */
const longestWaitMs = 3_600_000;

/** The feeds come every minute or so. */
const countsLifeMs = 300_000;

/** The world as the planner may see it: who waits already has its place, and no job is asked for twice. */
export function withMemory(given: World, waiting: readonly Waiting[], memory: PassMemory, now: number): World {
  const world = { ...given, feeds: withoutOldCounts(given.feeds, now) };
  const specs = waiting.map(({ decision }) => [decision.spec.deploymentId, decision.spec] as const);
  const desired = specs.length === 0 ? world.desired : new Map([...world.desired, ...specs]);
  if (!world.jobs) return { ...world, desired };
  const asked = new Set(memory.attempted);
  for (const { jobId } of world.lifecycles.values()) if (jobId !== undefined) asked.add(jobId);
  const jobs = new Map(
    [...world.jobs].map(([jobId, job]) => [jobId, asked.has(jobId) ? { ...job, attempted: true } : job]),
  );
  return { ...world, desired, jobs };
}

/** Whose last instance is whose is not told from an old list: an empty one protects everybody (gepetto.md B10, B11). */
function withoutOldCounts(feeds: World['feeds'], now: number): World['feeds'] {
  const isOld = (fetchedAt: number | undefined) => fetchedAt !== undefined && now - fetchedAt > countsLifeMs;
  if (![...feeds.values()].some(({ globalInstances }) => isOld(globalInstances.fetchedAt))) return feeds;
  return new Map(
    [...feeds].map(([validator, feed]) => {
      const { fetchedAt } = feed.globalInstances;
      return [validator, isOld(fetchedAt) ? { ...feed, globalInstances: { fetchedAt, items: new Map() } } : feed];
    }),
  );
}

export interface Queue {
  /** Their GPUs are free: into the next commit. */
  ready: Waiting[];
  waiting: Waiting[];
  /** Given up: a removal speaks against it, or it waited too long. */
  dropped: Waiting[];
}

/** Sort those who wait. `goneNow`: deployments whose last pod was just found gone. */
export function queueOf(
  waiting: readonly Waiting[],
  removals: readonly RemoveDecision[],
  world: World,
  goneNow: ReadonlySet<string>,
  now: number,
): Queue {
  const unwanted = new Set(removals.map(({ spec }) => spec.deploymentId));
  const queue: Queue = { ready: [], waiting: [], dropped: [] };
  for (const one of waiting) {
    const { spec } = one.decision;
    if (unwanted.has(spec.deploymentId) || now - one.since >= longestWaitMs) queue.dropped.push(one);
    else if (isClear(one, spec, world, goneNow)) queue.ready.push(one);
    else queue.waiting.push(one);
  }
  return queue;
}

function isClear(one: Waiting, spec: DeploymentSpec, world: World, goneNow: ReadonlySet<string>): boolean {
  if (!isOpen(world.health.get(spec.server))) return false;
  const gone = one.victims.every((deploymentId) => {
    const row = world.lifecycles.get(deploymentId);
    return row === undefined || row.goneAt !== undefined || goneNow.has(deploymentId);
  });
  if (!gone) return false;
  const gpuIds = new Set(spec.gpuIds);
  return !world.pods.some((pod) => pod.server === spec.server && pod.gpuIds.some((gpuId) => gpuIds.has(gpuId)));
}
