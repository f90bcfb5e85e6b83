// Which chutes may get another deployment now, and how many (gepetto.md 4.1, S4-S9).

import type { Chute } from '../domain/chute.ts';
import type { Utilization } from '../domain/ports.ts';
import { needsLaunchToken } from '../domain/version.ts';
import { type Fleet, fleetOf, type Occupancy } from './fleet.ts';
import type { Allowance } from './policy.ts';
import { isBackedOff, type JobOffer, type Memory, type World } from './world.ts';

/** GB of scratch disk of an instance that is no job. */
const defaultDiskGb = 10;

export interface Candidate {
  chute: Chute;
  job: JobOffer | undefined;
  gpuCount: number;
  diskGb: number;
  /** No own launch is on its way that would take the open bounty. */
  bountyFree: boolean;
  /** Instances of all miners that the validator wants, as far as it says so. */
  target: number;
  /** Deployments it may still get in this plan. */
  room: number;
  /** Own deployments of this version now. */
  replicas: number;
  /** With fewer than that it is placed before everything else. */
  minimum: number;
}

/** What it is known by: job id or chute id. */
export function keyOf({ job, chute }: Candidate): string {
  return job?.jobId ?? chute.chuteId;
}

interface Count {
  /** Own deployments of the current version, jobs left out. */
  replicas: number;
  /** Those of them that are not active yet. */
  pending: number;
  /** Those of them that the validator's count cannot contain: not active yet, or active since it was fetched. */
  uncounted: number;
}

const none: Count = { replicas: 0, pending: 0, uncounted: 0 };

const tokens = new Map<string | undefined, boolean>();

/** Remembered by version: a feed names few of them, very often. */
function takesToken({ chutesVersion }: Chute): boolean {
  let takes = tokens.get(chutesVersion);
  if (takes === undefined) {
    takes = needsLaunchToken({ chutesVersion });
    tokens.set(chutesVersion, takes);
  }
  return takes;
}

/** A world, who is on its servers, and which deployments this plan removes. */
interface Staying {
  world: World;
  fleet: Fleet;
  removed: ReadonlySet<string>;
}

const nothing: ReadonlySet<string> = new Set();

interface Own {
  chuteId: string;
  version: string;
  deploymentId: string;
  activatedAt: number;
}

const tallies = new WeakMap<Occupancy, readonly Own[]>();

/** What a server runs, in few words side by side: a full fleet is counted in every plan. */
function tallyOf(here: Occupancy): readonly Own[] {
  let tally = tallies.get(here);
  if (!tally) {
    tally = here.occupants.flatMap(({ deploymentId, spec, row }) => {
      if (!spec || spec.jobId !== undefined) return [];
      const { chuteId, version } = spec;
      return [{ chuteId, version, deploymentId, activatedAt: row?.activatedAt ?? Number.POSITIVE_INFINITY }];
    });
    tallies.set(here, tally);
  }
  return tally;
}

function countOf({ world, fleet, removed }: Staying): Map<string, Count> {
  const counts = new Map<string, Count & { version: string | undefined; fetchedAt: number }>();
  function startedFor(chuteId: string) {
    const chute = world.chutes.get(chuteId);
    const fetchedAt = (chute && world.feeds.get(chute.validator)?.utilization.fetchedAt) ?? 0;
    const count = { version: chute?.version, fetchedAt, replicas: 0, pending: 0, uncounted: 0 };
    counts.set(chuteId, count);
    return count;
  }
  for (const here of fleet.values()) {
    for (const { chuteId, version, deploymentId, activatedAt } of tallyOf(here)) {
      const count = counts.get(chuteId) ?? startedFor(chuteId);
      if (version !== count.version) continue;
      if (removed.size > 0 && removed.has(deploymentId)) continue;
      count.replicas += 1;
      if (activatedAt === Number.POSITIVE_INFINITY) count.pending += 1;
      if (activatedAt > count.fetchedAt) count.uncounted += 1;
    }
  }
  return counts;
}

/** Up to the validator's target when it names one; else one at a time, because more would only be refused. */
function roomFor(utilization: Utilization | undefined, { pending, uncounted }: Count): number {
  if (utilization?.targetCount !== undefined && utilization.activeInstanceCount !== undefined) {
    return Math.max(0, utilization.targetCount - utilization.activeInstanceCount - uncounted);
  }
  return pending > 0 ? 0 : 1;
}

/** What stands against another deployment before anybody looks for a place. */
export type Obstacle =
  | 'job-only'
  | 'disabled'
  | 'library'
  | 'no-pay'
  | 'gone'
  | 'back-off'
  | 'not-scalable'
  | 'updating'
  | 'full';

function barredBy(chute: Chute, world: World, memory: Memory, now: number, utilization: Utilization | undefined) {
  if (chute.jobOnly) return 'job-only';
  if (chute.disabled) return 'disabled';
  // Validators have dropped the announce routes that older libraries need (protocol.md 6.4).
  if (!takesToken(chute)) return 'library';
  if (!(chute.effectiveComputeMultiplier > 0)) return 'no-pay';
  if (world.goneChutes.has(chute.chuteId)) return 'gone';
  if (isBackedOff(memory.refusals, chute.chuteId, now)) return 'back-off';
  if (utilization && !utilization.scalable) return 'not-scalable';
  return utilization?.updateInProgress ? 'updating' : undefined;
}

function utilizationOf({ validator, chuteId }: Chute, { feeds }: World): Utilization | undefined {
  return feeds.get(validator)?.utilization.items.get(chuteId);
}

/** Of one chute, for whoever asks; a plan looks at all of them together. */
export function obstacleOf(chute: Chute, world: World, memory: Memory, now: number): Obstacle | undefined {
  const utilization = utilizationOf(chute, world);
  const barred = barredBy(chute, world, memory, now, utilization);
  if (barred) return barred;
  return roomFor(utilization, countOf({ world, fleet: fleetOf(world), removed: nothing }).get(chute.chuteId) ?? none) >
    0
    ? undefined
    : 'full';
}

export function candidatesOf(staying: Staying, allowance: Allowance, memory: Memory, now: number): Candidate[] {
  const { world } = staying;
  const counts = countOf(staying);
  const candidates: Candidate[] = [];
  for (const chute of world.chutes.values()) {
    const utilization = utilizationOf(chute, world);
    if (barredBy(chute, world, memory, now, utilization)) continue;
    const count = counts.get(chute.chuteId) ?? none;
    const room = roomFor(utilization, count);
    if (room > 0) {
      const { chuteId, gpuCount } = chute;
      const barred = allowance.bars({ chute, gpuCount });
      if (barred) {
        allowance.note(barred, { chute });
        continue;
      }
      const bountyFree = count.pending === 0;
      const { replicas } = count;
      candidates.push({
        chute,
        job: undefined,
        gpuCount,
        diskGb: defaultDiskGb,
        bountyFree,
        target: utilization?.targetCount ?? 1,
        room: Math.min(room, allowance.roomFor(chuteId)),
        replicas,
        minimum: allowance.minimumOf(chuteId),
      });
    }
  }
  return candidates;
}

/** Rentals that may still be asked for: each has one attempt only (gepetto.md 6). */
export function jobsOf({ world, removed }: Staying, allowance: Allowance, memory: Memory, now: number): Candidate[] {
  if (!world.jobs?.size) return [];
  const taken = new Set<string>();
  for (const { deploymentId, jobId } of world.desired.values()) {
    if (jobId !== undefined && !removed.has(deploymentId)) taken.add(jobId);
  }
  const candidates: Candidate[] = [];
  for (const job of world.jobs.values()) {
    const chute = world.chutes.get(job.chuteId);
    if (!chute || chute.disabled || world.goneChutes.has(job.chuteId)) continue;
    if (job.attempted || taken.has(job.jobId) || job.excluded.includes(world.hotkey)) continue;
    if (!takesToken(chute) || isBackedOff(memory.refusals, job.jobId, now)) continue;
    const barred = allowance.bars({ chute, gpuCount: job.gpuCount });
    if (barred) {
      allowance.note(barred, { chute });
      continue;
    }
    candidates.push({
      chute,
      job,
      gpuCount: job.gpuCount,
      diskGb: job.diskGb,
      bountyFree: false,
      target: 1,
      room: 1,
      replicas: 0,
      minimum: 0,
    });
  }
  return candidates;
}
