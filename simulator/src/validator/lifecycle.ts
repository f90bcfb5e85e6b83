// An instance from activation to its end: what it earns, what its end costs, and which removals break the contract (gepetto.md 4.7).

import { activeTotal, findChute, hasRoom, runMultiplier, takeBounty } from './market.ts';
import { accrue, isYoung, settle } from './pay.ts';
import type { InstanceState, Termination } from './records.ts';
import type { World } from './world.ts';

const thrashMs = 7_200_000;
const weekMs = 7 * 86_400_000;

/** Fields that every message about an instance carries. */
export function instanceData(world: World, instance: InstanceState): Record<string, unknown> {
  const { chuteId, minerHotkey, instanceId, configId } = instance;
  const data = { chute_id: chuteId, miner_hotkey: minerHotkey, instance_id: instanceId, config_id: configId };
  if (world.generation === 'v25') return data;
  return { ...data, gpu_count: instance.nodeIds.length, gpu_model_name: instance.gpuModel };
}

/** Cool-downs of a miner: chutes whose active instance it removed itself within the last 2 h. */
export function cooldowns(world: World, hotkey: string): { chuteId: string; deletedAt: number; expiresAt: number }[] {
  const latest = new Map<string, number>();
  for (const { chuteId, minerHotkey, at, thrash } of world.state.terminations) {
    if (thrash && minerHotkey === hotkey && world.clock.now() < at + thrashMs) latest.set(chuteId, at);
  }
  return [...latest].map(([chuteId, deletedAt]) => ({ chuteId, deletedAt, expiresAt: deletedAt + thrashMs }));
}

/** Too many bad ends within 7 days: no private chutes for this miner. */
export function isUnstable(world: World, hotkey: string): boolean {
  const since = world.clock.now() - weekMs;
  const recent = world.state.terminations.filter(({ minerHotkey, at }) => minerHotkey === hotkey && at >= since);
  return recent.length >= 10 && recent.filter(({ bad }) => bad).length >= 0.3 * recent.length;
}

export type EndedBy = 'valid' | 'miner' | 'lost' | 'failed';

function removalViolation(world: World, instance: InstanceState, isPublic: boolean, last: boolean): string | undefined {
  if (instance.activatedAt === null) return undefined;
  if (instance.jobId !== null) return 'job-removed';
  if (!isPublic) return 'private-removed';
  if (isYoung(instance, world.clock.now())) return 'young-removed';
  return last ? 'last-instance-removed' : undefined;
}

/** The validator asked for it, or the instance serves nobody any more. */
function isExcused(world: World, instance: InstanceState): boolean {
  const current = findChute(world, instance.chuteId)?.state.version;
  return instance.replaceAt !== null || instance.version !== current;
}

/** End an instance, settle its pay, and tell its miner. `failed`: it never proved or activated in time. */
export function endInstance(world: World, instance: InstanceState, endedBy: EndedBy, why: string): void {
  const { instanceId, chuteId, minerHotkey } = instance;
  if (!Object.hasOwn(world.state.instances, instanceId)) return;
  const now = world.clock.now();
  const chute = findChute(world, chuteId);
  if (chute) accrue(instance, runMultiplier(chute), now);
  const isPublic = chute?.entry.item.public ?? true;
  const active = instance.activatedAt !== null;
  const last = active && instance.jobId === null && chute !== undefined && activeTotal(world, chute) === 1;
  let by: 'valid' | 'miner' | 'lost' = endedBy === 'failed' ? 'lost' : endedBy;
  if (by === 'miner' && instance.lostAt !== null) by = 'lost';
  if (by === 'miner' && isExcused(world, instance)) by = 'valid';
  const violation = by === 'miner' ? removalViolation(world, instance, isPublic, last) : undefined;
  if (violation) world.violation(violation, `instance ${instanceId} of chute ${chuteId}`);
  world.state.paid += settle(instance, { by, isPublic, last }, now);
  if (active) {
    const bad = by !== 'valid' && (violation !== undefined || isYoung(instance, now));
    const thrash = by === 'miner' && instance.jobId === null;
    const ended: Termination = { chuteId, minerHotkey, at: now, bad, thrash };
    world.state.terminations = [...world.state.terminations.filter(({ at }) => at >= now - weekMs), ended];
  }
  delete world.state.instances[instanceId];
  const config = instance.configId === null ? undefined : world.state.configs[instance.configId];
  if (config) config.instanceId = null;
  if (instance.jobId !== null) endJob(world, instance.jobId, instanceId);
  world.log('instance ended', { instanceId, chuteId, by, why });
  world.emit('instance_deleted', instanceData(world, instance), [minerHotkey]);
  world.changed();
}

function endJob(world: World, jobId: string, instanceId: string): void {
  const job = world.state.jobs[jobId];
  // A job that its miner released goes to somebody else.
  if (job?.instanceId !== instanceId || job.finishedAt !== null) return;
  job.finishedAt = world.clock.now();
  world.emit('job_deleted', { instance_id: instanceId, job_id: jobId });
}

/** Why an instance may not become active; it is deleted then. */
function activationRefusal(world: World, instance: InstanceState): string | undefined {
  const chute = findChute(world, instance.chuteId);
  if (!chute || chute.state.version !== instance.version) return 'the chute has another version or is gone';
  if (instance.jobId === null && !hasRoom(world, chute)) return 'the chute is at its target';
  return undefined;
}

/** Make a verified instance active and fix its multiplier. Returns why not, after deleting it. */
export function activate(world: World, instance: InstanceState): string | undefined {
  const refusal = activationRefusal(world, instance);
  const chute = findChute(world, instance.chuteId);
  if (refusal !== undefined || !chute) {
    endInstance(world, instance, 'failed', refusal ?? 'gone');
    return refusal;
  }
  const now = world.clock.now();
  const job = instance.jobId === null ? undefined : world.state.jobs[instance.jobId];
  if (job) {
    Object.assign(instance, { cm0: job.computeMultiplier, boost: 1 });
  } else {
    const cooling = cooldowns(world, instance.minerHotkey).some(({ chuteId }) => chuteId === instance.chuteId);
    const boost = takeBounty(world, chute);
    const run = runMultiplier(chute);
    instance.boost = cooling ? 1 : boost;
    instance.cm0 = cooling ? run / chute.state.urgency : run * boost;
  }
  Object.assign(instance, { activatedAt: now, accruedAt: now });
  world.state.activations++;
  world.emit('instance_activated', instanceData(world, instance), [instance.minerHotkey]);
  world.changed();
  return undefined;
}
