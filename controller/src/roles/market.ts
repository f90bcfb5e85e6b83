// What the validators' feeds tell about chutes beyond what each is, and about our own instances, in the planner's terms. What no feed
// tells (sizes of models and images, warm-up) is left out, and the planner estimates it.

import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import type { Feed, Feeds } from '../domain/ports.ts';
import { bountyAgeMs, frozenMs } from '../gepetto/pay.ts';
import type { ChuteMarket } from '../gepetto/world.ts';

type ByValidator = ReadonlyMap<string, Feeds>;

/** The feeds come every quarter of a minute; older counts say nothing about whose instance is the last (gepetto.md B10). */
const countsLifeMs = 300_000;

/** By chute id; an instance before that time (ms) gets neither bounty nor urgency. */
export function cooldownsOf(feeds: ByValidator): ReadonlyMap<string, number> {
  return new Map([...feeds.values()].flatMap(({ cooldowns }) => [...cooldowns.items]));
}

/** By chute id. */
export function marketOf(
  chutes: ReadonlyMap<string, Chute>,
  feeds: ByValidator,
  now: number,
): Map<string, ChuteMarket> {
  const counts = new Map<string, number>();
  for (const { globalInstances } of feeds.values()) {
    for (const { chuteId } of globalInstances.items.values()) counts.set(chuteId, (counts.get(chuteId) ?? 0) + 1);
  }
  const market = new Map<string, ChuteMarket>();
  for (const chute of chutes.values()) {
    const from = feeds.get(chute.validator);
    market.set(chute.chuteId, {
      // Every chute has a cache folder of its own on a server (kubernetes.md 3.2).
      modelKey: chute.chuteId,
      ...termsOf(chute, from?.chutes.fetchedAt),
      ...(from && countOf(chute.chuteId, from, counts.get(chute.chuteId) ?? 0, now)),
    });
  }
  return market;
}

function termsOf(
  { boosts, bounty, effectiveComputeMultiplier: offered }: Chute,
  fetchedAt: number | undefined,
): ChuteMarket {
  const factor = bounty > 0 ? boosts?.bounty : 1;
  return {
    ...(boosts?.urgency !== undefined && { urgency: boosts.urgency }),
    ...(factor !== undefined && factor > 0 && { runMultiplier: offered / factor }),
    // The amount says how old the bounty was when it was read.
    ...(bounty > 0 && fetchedAt !== undefined && { bountyOpenedAt: fetchedAt - bountyAgeMs(bounty) }),
  };
}

/** The smaller of the validator's two counts, because the last instance of a chute must not go; nothing while one of them is old. */
function countOf(chuteId: string, { utilization, globalInstances }: Feeds, listed: number, now: number): ChuteMarket {
  const isFresh = ({ fetchedAt }: Feed<unknown>) => fetchedAt !== undefined && now - fetchedAt <= countsLifeMs;
  const counted = utilization.items.get(chuteId)?.activeInstanceCount;
  if (counted === undefined || !isFresh(utilization) || !isFresh(globalInstances)) return {};
  return { activeTotal: Math.min(counted, listed) };
}

/**
 * Remembers what each instance earned while that was still what it got at activation (gepetto.md 4.7), by deployment id. Of one that was
 * never seen so young the planner works it out.
 */
export function createFirstMultipliers() {
  const known = new Map<string, number>();
  return (rows: ReadonlyMap<string, DeploymentLifecycle>, feeds: ByValidator): ReadonlyMap<string, number> => {
    for (const deploymentId of known.keys()) if (!rows.has(deploymentId)) known.delete(deploymentId);
    for (const { deploymentId, validator, instanceId, activatedAt } of rows.values()) {
      if (activatedAt === undefined || instanceId === undefined || known.has(deploymentId)) continue;
      const instances = feeds.get(validator)?.instances;
      const instance = instances?.items.get(instanceId);
      const age = (instances?.fetchedAt ?? Number.POSITIVE_INFINITY) - activatedAt;
      if (!instance?.active || instance.computeMultiplier === undefined || age >= frozenMs) continue;
      known.set(deploymentId, instance.computeMultiplier);
    }
    return new Map(known);
  };
}
