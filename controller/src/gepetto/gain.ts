// What placing a candidate on a server is expected to bring over the horizon: the chance that it becomes active times its pay, less what
// the GPUs would earn elsewhere (gepetto.md 4.7). Multiplier-hours.

import type { Chute } from '../domain/chute.ts';
import type { Candidate } from './candidates.ts';

import { bountyAgeMs, bountyBoost, payAbove, startupShare } from './pay.ts';
import type { Startup } from './startup.ts';
import { runOf } from './tenants.ts';
import { tuning } from './tuning.ts';
import type { World } from './world.ts';

const hourMs = 3_600_000;

export interface GainContext {
  world: World;
  now: number;
}

export interface Terms {
  run: number;
  /** Without bounty: what an instance starts with. */
  plain: number;
  bountyOpenedAt: number | undefined;
}

export function termsOf(chute: Chute, { world, now }: GainContext): Terms {
  const market = world.market?.get(chute.chuteId);
  const run = runOf(chute, market);
  const cooled = (world.cooldowns?.get(chute.chuteId) ?? 0) > now;
  const plain = cooled ? run / (market?.urgency ?? 1) : run;
  const openedAt = market?.bountyOpenedAt ?? (chute.bounty > 0 ? now - bountyAgeMs(chute.bounty) : undefined);
  return { run, plain, bountyOpenedAt: cooled ? undefined : openedAt };
}

/**
 * Expected pay within the horizon, less what the GPUs would bring elsewhere: `floor` multiplier for all of them. They may go back to that
 * whenever the pay falls below it.
 */
export function gainOf(
  candidate: Candidate,
  terms: Terms,
  startup: Startup,
  delay: number,
  floor: number,
  context: GainContext,
): number {
  const { untilInstance, loading } = startup;
  const ready = delay + untilInstance + loading;
  const left = tuning.horizonHours - ready;
  if (loading >= 2 || left <= 0) return Number.NEGATIVE_INFINITY;
  if (candidate.job) {
    const chance = Math.exp(-tuning.jobHazard * (delay + untilInstance));
    const cm = candidate.job.computeMultiplier;
    const hours = Math.min(left, tuning.jobHours);
    const paid = cm * (startupShare * loading + hours) - floor * (loading + hours);
    return chance * paid - floor * (delay + untilInstance);
  }
  const boosted = terms.bountyOpenedAt !== undefined && candidate.bountyFree;
  const win = boosted ? Math.exp(-tuning.bountyHazard * ready) : 0;
  const boost = boosted ? 1 + win * (bountyBoost(context.now + ready * hourMs - (terms.bountyOpenedAt ?? 0)) - 1) : 1;
  const first = terms.plain * boost;
  const chance = Math.exp((-tuning.fillHazard * Math.sqrt(candidate.target) * ready) / candidate.room);
  const paid = startupShare * loading * first + payAbove(first, terms.run, 0, left, floor);
  return chance * paid - floor * ready;
}
