// Fill the fleet, best first: every candidate with the site where it gains most after what it displaces, until nothing more pays. The order
// is total, so the same input gives the same plan.

import { type Candidate, keyOf } from './candidates.ts';
import { bestOption, type Search, searchOf } from './choose.ts';
import { lastStays } from './clearing.ts';
import { byValue, decide, type FillContext, type Option, type Placement } from './decide.ts';
import { type Field, reprice } from './field.ts';
import { floorsOf } from './floor.ts';
import { createHeap } from './heap.ts';

/** Far more than it takes: each round places something. */
const mostRounds = 100;
/**
 * Place until no candidate pays or the launch budget is used up. Takes what it places out of the field. What is placed changes the price of
 * the rest, so it goes on until nothing changes: planning again right after finds nothing to do.
 */
export function fill(candidates: readonly Candidate[], field: Field, context: FillContext): Placement[] {
  const placements: Placement[] = [];
  let waiting = candidates;
  for (let round = 0; round < mostRounds; round++) {
    const before = placements.length;
    waiting = fillOnce(waiting, field, context, placements);
    if (placements.length === before || waiting.length === 0) break;
    reprice(field, floorsOf(waiting, context.world, context.advice));
  }
  return placements;
}

/** One round; returns the candidates that still have room. */
function fillOnce(
  candidates: readonly Candidate[],
  field: Field,
  context: FillContext,
  placements: Placement[],
): Candidate[] {
  const left = new Map(candidates.map((candidate) => [keyOf(candidate), candidate]));
  const search = searchOf(field, context);
  const options = createHeap(byValue);
  function offer(candidate: Candidate): void {
    const option = bestOption(candidate, search);
    if (option) options.push(option);
  }
  for (const candidate of candidates) offer(candidate);
  while (placements.length < context.policy.launchesPerPass) {
    const option = options.pop();
    if (!option) break;
    const { candidate, site } = option;
    // Earlier placements may have used up what this option counted on.
    const { allowance } = context;
    const stale = option.stamp !== site.stamp || !lastStays(option.victims, field);
    if (stale || allowance.refusal(candidate, site, option.victims)) {
      offer(candidate);
      continue;
    }
    const made = decide(option, options, context);
    if (!made) continue;
    placements.push(made);
    allowance.take(made.decision.spec, made.victims);
    settle(option, made, search);
    const key = keyOf(candidate);
    const room = candidate.room - 1;
    const next = { ...candidate, room, replicas: candidate.replicas + 1, bountyFree: false };
    if (room > 0) left.set(key, next);
    else left.delete(key);
    if (room > 0) offer(next);
  }
  return placements.length < context.policy.launchesPerPass ? [...left.values()] : [];
}

function settle({ site, victims }: Option, { decision }: Placement, { field, ladders }: Search): void {
  site.tenants = site.tenants.filter((tenant) => !victims.includes(tenant));
  for (const { spec } of victims) field.spare.set(spec.chuteId, (field.spare.get(spec.chuteId) ?? 0) - 1);
  const { spec } = decision;
  site.tenants.push({
    spec,
    gpus: spec.gpuIds.length,
    worth: Number.POSITIVE_INFINITY,
    terms: undefined,
    weight: undefined,
    rate: undefined,
    removable: false,
  });
  site.clearings = [];
  site.hole -= spec.gpuIds.length;
  site.stamp++;
  ladders.touch(site);
}
