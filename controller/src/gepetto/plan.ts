// The planner: world in, decisions out. Pure: no I/O, no waiting, no clock or dice of its own; the same input gives the same plan.

import type { Advice } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import type { Decision, DeployDecision, RemoveDecision } from '../domain/decision.ts';
import type { DeploymentLifecycle, DeployReason } from '../domain/deployment.ts';
import type { Policy } from '../domain/policy.ts';
import { type Random, uuidFrom } from '../domain/random.ts';
import type { Blocked } from './blocked.ts';
import { candidatesOf, jobsOf } from './candidates.ts';
import type { Effect } from './effects.ts';
import { fieldOf } from './field.ts';
import { fleetOf } from './fleet.ts';
import { floorsOf } from './floor.ts';
import { fill } from './place.ts';
import { type Allowance, allowanceOf } from './policy.ts';
import { type Removal, reconcile } from './reconcile.ts';
import { avoidReverted } from './revert.ts';
import { backOff, failedAt, type Memory, modelKey, pairKey, reset, type World } from './world.ts';

export interface Preemption {
  deploy: DeployDecision;
  victims: RemoveDecision[];
}

export interface Plan {
  removals: RemoveDecision[];
  deploys: DeployDecision[];
  /** Swaps: the token of the deploy is asked for first, and only when it is granted the victims go (gepetto.md W6, B16). */
  preemptions: Preemption[];
  effects: Effect[];
  /** What is held back and waits for a person, one sentence each. */
  held: string[];
  /** What a person took out of `live`. */
  reverted: DeploymentLifecycle[];
  /** What the policy kept from happening, by rule. */
  blocked: Blocked[];
  memory: Memory;
}

/** All of it in the order in which it would be carried out. */
export function decisionsOf({ removals, deploys, preemptions }: Plan): Decision[] {
  return [...removals, ...preemptions.flatMap(({ deploy, victims }) => [...victims, deploy]), ...deploys];
}

/** Below this many, inferred removals are never held back. */
const alwaysAllowedRemovals = 2;

export function plan(...given: Parameters<typeof planOn>): Plan {
  return planOn(...given).planned;
}

/**
 * The plan, and what the policy still allows after it to whoever goes on from there. `advice`: what the owner's strategy says about this
 * world; without it the default decides alone.
 */
export function planOn(
  world: World,
  policy: Policy,
  clock: Pick<Clock, 'now'>,
  random: Random,
  memory: Memory,
  advice?: Advice,
): { planned: Plan; allowance: Allowance } {
  const now = clock.now();
  const fleet = fleetOf(world);
  const drift = reconcile(world, fleet, policy, memory, now);
  const allowance = allowanceOf(world, policy, now);
  const share = capRemovals(drift.removals, world.desired.size, policy);
  const allowed = allowance.admit(share.allowed);
  const bookkeeping = capVanished(drift.effects, world, policy);
  const learnt = learn({ ...memory, missing: drift.missing }, world, allowed, now);
  const next = { ...learnt, failures: avoidReverted(learnt.failures, bookkeeping.reverted, now) };
  const rolled = rolledChutes(world);
  const removed = new Set(allowed.map((removal) => removal.spec.deploymentId));
  const staying = { world, fleet, removed };
  const found = [...candidatesOf(staying, allowance, next, now), ...jobsOf(staying, allowance, next, now)];
  const candidates = policy.mode === 'paused' ? [] : found;
  if (policy.mode === 'paused') for (const candidate of found) allowance.note('mode', candidate);
  // The rooms still hold what is being removed: its GPUs drain first.
  const floors = floorsOf(candidates, world, advice);
  const field = candidates.length === 0 ? undefined : fieldOf(world, fleet, now, removed, floors, candidates, advice);
  if (field) allowance.protect(field.spare);
  const context = { world, advice, policy, allowance, memory: next, now, random };
  const placements = field
    ? fill(candidates, field, { ...context, reasonFor: (chute) => reasonFor(chute, rolled) })
    : [];
  const made: Plan = {
    removals: allowed.map(({ spec, reason, because }) => ({
      kind: 'remove',
      decisionId: uuidFrom(random),
      spec,
      reason,
      because,
    })),
    deploys: placements.filter(({ victims }) => victims.length === 0).map(({ decision }) => decision),
    preemptions: placements
      .filter(({ victims }) => victims.length > 0)
      .map(({ decision, victims }) => ({
        deploy: decision,
        victims: victims.map(({ spec, worth }) => ({
          kind: 'remove',
          decisionId: uuidFrom(random),
          spec,
          reason: 'preempted',
          because: `${decision.spec.chuteName} earns more here: ${(decision.numbers.gain ?? 0).toFixed(2)} instead of ${worth.toFixed(2)} multiplier-hours`,
          numbers: { worth, gain: decision.numbers.gain ?? 0 },
        })),
      })),
    effects: bookkeeping.effects,
    held: [...share.held, ...bookkeeping.held],
    reverted: bookkeeping.reverted,
    blocked: allowance.blocked(),
    memory: next,
  };
  return { planned: made, allowance };
}

/** Mass removal on absence alone stops and asks (design 3.11). */
function capRemovals(
  removals: readonly Removal[],
  total: number,
  policy: Policy,
): { allowed: Removal[]; held: string[] } {
  const inferred = removals.filter((removal) => removal.inferred);
  if (inferred.length <= capOf(total, policy)) return { allowed: [...removals], held: [] };
  return {
    allowed: removals.filter((removal) => !removal.inferred),
    held: [
      `${inferred.length} of ${total} deployments look lost, more than policy.removalShare (${policy.removalShare}) allows; ` +
        `nothing is removed until they are back or the share is raised on main: ${named(inferred.map(({ spec }) => spec.deploymentId))}`,
    ],
  };
}

function capOf(total: number, policy: Policy): number {
  return Math.max(alwaysAllowedRemovals, Math.floor(total * policy.removalShare));
}

function named(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).join(', ');
  return ids.length > 5 ? `${shown} and ${ids.length - 5} more` : shown;
}

interface Bookkeeping {
  effects: Effect[];
  held: string[];
  /** Left `live` without a decision, few enough to be meant. */
  reverted: DeploymentLifecycle[];
}

/** Many committed deployments that left `live` at once without a decision look like a branch that was reset, not like a revert. */
function capVanished(effects: readonly Effect[], world: World, policy: Policy): Bookkeeping {
  const vanished = effects.filter(
    (effect) =>
      effect.kind === 'mark' &&
      effect.step === 'removedAt' &&
      world.lifecycles.get(effect.deploymentId)?.committedAt !== undefined,
  );
  const total = world.desired.size + vanished.length;
  const ids = vanished.flatMap((effect) => (effect.kind === 'mark' ? [effect.deploymentId] : []));
  if (vanished.length <= capOf(total, policy)) {
    const reverted = ids.flatMap((deploymentId) => world.lifecycles.get(deploymentId) ?? []);
    return { effects: [...effects], held: [], reverted };
  }
  return {
    reverted: [],
    effects: effects.filter((effect) => !vanished.includes(effect)),
    held: [
      `${ids.length} of ${total} deployments are no longer on live, more than policy.removalShare (${policy.removalShare}) allows; ` +
        `their instances are kept until they are back on live or the share is raised on main: ${named(ids)}`,
    ],
  };
}

/** A server is to blame once a second chute fails there: the first may be at fault itself. */
function suspect(known: Memory['failures'], server: string, now: number, because: string): Memory['failures'] {
  const blamed = known.has(server);
  const next = backOff(known, server, now, because);
  const entry = next.get(server);
  return blamed || !entry ? next : new Map(next).set(server, { ...entry, until: now });
}

/** An activation is heard of within this time. */
const forgivenWithinMs = 900_000;

/** Failures lower the chance of the same pair; an activation forgives. */
function learn(memory: Memory, world: World, removals: readonly Removal[], now: number): Memory {
  let failures = memory.failures;
  let refusals = memory.refusals;
  for (const { spec, reason, because } of removals) {
    const launched = world.lifecycles.get(spec.deploymentId)?.activatedAt !== undefined;
    const failed = reason === 'pod-failed' || reason === 'launch-stuck' || reason === 'pod-lost';
    if (!failed || launched) continue;
    failures = backOff(failures, pairKey(spec.chuteId, spec.server), now, because);
    const onModel = modelKey(spec, modelOf(world, spec));
    if (!failures.has(onModel)) failures = suspect(failures, spec.server, now, because);
    failures = backOff(failures, onModel, now, because);
  }
  for (const row of world.lifecycles.values()) {
    if (row.activatedAt === undefined || row.removedAt !== undefined || row.activatedAt < now - forgivenWithinMs)
      continue;
    if (failures.size > 0) {
      for (const key of [pairKey(row.chuteId, row.server), modelKey(row, modelOf(world, row)), row.server]) {
        const failed = failures.get(key);
        if (failed && row.activatedAt > failedAt(failed)) failures = reset(failures, key);
      }
    }
    const refusal = refusals.get(row.chuteId);
    if (refusal && row.activatedAt > refusal.until) refusals = reset(refusals, row.chuteId);
  }
  return { ...memory, failures, refusals };
}

function modelOf(world: World, spec: { server: string }): string {
  return world.servers.find(({ name }) => name === spec.server)?.gpuShortRef ?? '';
}

/** Chutes of which an older version was just taken away: their next deployment is the other half of a rolling update. */
function rolledChutes(world: World): Set<string> {
  const rolled = new Set<string>();
  for (const row of world.lifecycles.values()) {
    if (row.removedAt === undefined) continue;
    const current = world.chutes.get(row.chuteId)?.version;
    if (current !== undefined && row.version !== current) rolled.add(row.chuteId);
  }
  return rolled;
}

function reasonFor(chute: Chute, rolled: ReadonlySet<string>): DeployReason {
  if (rolled.has(chute.chuteId)) return 'rolling-update';
  return chute.bounty > 0 ? 'bounty' : 'scale-up';
}
