// What a chute is worth and whether it has room (gepetto.md 4.7): multiplier factors, bounty, quota, and the feed item that shows them.

import type { CatalogueChute } from '../catalogue.ts';
import { accrue, bountyAmount, bountyBoost } from './pay.ts';
import type { ChuteState, InstanceState } from './records.ts';
import type { World } from './world.ts';

const claimPauseMs = 600_000;
/** After an update only instances of the new version use quota, so that both versions can run side by side. */
const updateGraceMs = 43_200_000;
const noticePauseMs = 300_000;

export interface Chute {
  state: ChuteState;
  entry: CatalogueChute;
}

/** A chute that exists now. */
export function findChute(world: World, chuteId: string): Chute | undefined {
  const state = Object.hasOwn(world.state.chutes, chuteId) ? world.state.chutes[chuteId] : undefined;
  const entry = state && (state.created ?? world.catalogue.chutes.get(chuteId));
  return entry && { state, entry };
}

export function allChutes(world: World): Chute[] {
  return Object.keys(world.state.chutes).flatMap((id) => findChute(world, id) ?? []);
}

export function instancesOf(world: World, chuteId: string): InstanceState[] {
  return Object.values(world.state.instances).filter((instance) => instance.chuteId === chuteId);
}

function isActive(instance: InstanceState): boolean {
  return instance.activatedAt !== null && instance.jobId === null;
}

/** Active instances of all miners; jobs do not count. */
export function activeTotal(world: World, { state }: Chute): number {
  return state.othersActive + instancesOf(world, state.chuteId).filter(isActive).length;
}

function inUpdate(world: World, state: ChuteState): boolean {
  return state.updatedAt !== null && world.clock.now() - state.updatedAt < updateGraceMs;
}

export function quotaUsed(world: World, { state }: Chute): number {
  const counts = instancesOf(world, state.chuteId).filter(isActive);
  const current = inUpdate(world, state) ? counts.filter(({ version }) => version === state.version) : counts;
  return state.othersActive + current.length;
}

export function hasRoom(world: World, chute: Chute): boolean {
  return !chute.state.disabled && quotaUsed(world, chute) < chute.state.targetCount;
}

/** Multiplier without bounty. */
export function runMultiplier({ state, entry }: Chute): number {
  const { base, private: privately, tee } = entry.item.compute_multiplier_factors;
  return base * privately * tee * state.urgency * state.manual;
}

export function bountyAge(world: World, { state }: Chute): number | undefined {
  return state.bounty ? (world.clock.now() - state.bounty.openedAt) / 1000 : undefined;
}

function currentBoost(world: World, chute: Chute): number {
  const age = bountyAge(world, chute);
  return age === undefined ? 1 : bountyBoost(age);
}

/** Multiplier a new instance would earn now: `effective_compute_multiplier` of the feed. */
export function offer(world: World, chute: Chute): number {
  return runMultiplier(chute) * currentBoost(world, chute);
}

/** Change what the multiplier is made of; instances earn at the old one up to now. */
export function setFactors(world: World, chute: Chute, change: { urgency?: number; manual?: number }): void {
  const run = runMultiplier(chute);
  for (const instance of instancesOf(world, chute.state.chuteId)) accrue(instance, run, world.clock.now());
  Object.assign(chute.state, change);
  world.changed();
}

/** Tell miners of the open bounty, at most once per pause. */
function announceBounty(world: World, chute: Chute): void {
  const { bounty } = chute.state;
  const age = bountyAge(world, chute);
  if (!bounty || age === undefined) return;
  bounty.notifiedAt = world.clock.now();
  const newer = {
    effective_multiplier: offer(world, chute),
    bounty_boost: bountyBoost(age),
    urgency: chute.state.urgency,
  };
  const data = { chute_id: chute.state.chuteId, bounty: bountyAmount(age) };
  world.emit('bounty_change', world.generation === 'v26' ? { ...data, ...newer } : data);
}

export function remindOfBounty(world: World, chute: Chute): void {
  const { bounty } = chute.state;
  if (bounty && world.clock.now() - bounty.notifiedAt >= noticePauseMs) announceBounty(world, chute);
}

/** False, and nothing happens, where a bounty cannot stand: open already, claimed within 10 min, disabled, or at its target. */
export function openBounty(world: World, chute: Chute): boolean {
  const { state } = chute;
  const now = world.clock.now();
  const full = activeTotal(world, chute) >= state.targetCount && !inUpdate(world, state);
  if (state.bounty || state.disabled || full) return false;
  if (state.lastClaimAt !== null && now - state.lastClaimAt < claimPauseMs) return false;
  state.bounty = { openedAt: now, notifiedAt: now };
  announceBounty(world, chute);
  world.changed();
  return true;
}

/** The bounty is gone: claimed, or closed. Returns its factor, 1 if there was none. */
export function takeBounty(world: World, chute: Chute): number {
  const boost = currentBoost(world, chute);
  if (chute.state.bounty) chute.state.lastClaimAt = world.clock.now();
  chute.state.bounty = null;
  world.changed();
  return boost;
}

const newerFields = ['tee', 'effective_compute_multiplier', 'compute_multiplier_factors', 'bounty', 'disabled'];

/** The chute as `GET /miner/chutes/` shows it. Older validators send source and file name of every chute, and no multipliers. */
export function feedItem(world: World, chute: Chute): Record<string, unknown> {
  const { state, entry } = chute;
  const { item } = entry;
  const shown = { ...item, version: state.version, boost: state.urgency === 1 ? null : state.urgency };
  if (world.generation === 'v25') {
    const older = Object.entries(shown).filter(([key]) => !newerFields.includes(key));
    return { code: `# ${item.name}`, filename: `${item.ref_str.split(':')[0]}.py`, ...Object.fromEntries(older) };
  }
  const age = bountyAge(world, chute);
  const { bounty: _offered, ...factors } = item.compute_multiplier_factors;
  const { urgency, manual } = state;
  const boosts = age === undefined ? { urgency, manual } : { urgency, manual, bounty: bountyBoost(age) };
  return {
    ...shown,
    disabled: state.disabled,
    effective_compute_multiplier: offer(world, chute),
    compute_multiplier_factors: { ...factors, ...boosts },
    bounty: age === undefined ? null : bountyAmount(age),
  };
}
