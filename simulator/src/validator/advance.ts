// What happens by itself as the simulated clock runs: rolling updates, bounty reminders, ends of jobs, and instances that never came up
// or are no longer reachable. Everything due is in the state, so it goes on after a restart.

import { endInstance } from './lifecycle.ts';
import { allChutes, type Chute, instancesOf, remindOfBounty } from './market.ts';
import type { World } from './world.ts';

const lostMs = 300_000;
const hourMs = 3_600_000;

function stepRolling(world: World, { state }: Chute): void {
  const { rolling } = state;
  while (rolling && state.rolling === rolling && world.clock.now() >= rolling.nextAt) {
    const nextId = rolling.queue.shift();
    if (nextId === undefined) {
      for (const instance of instancesOf(world, state.chuteId)) {
        if (instance.version !== state.version) endInstance(world, instance, 'valid', 'left on an old version');
      }
      state.rolling = null;
    } else {
      const instance = world.state.instances[nextId];
      rolling.nextAt += instance ? rolling.pauseMs : 0;
      if (instance) announceReplacement(world, instance.instanceId, rolling);
    }
    world.changed();
  }
}

function announceReplacement(
  world: World,
  instanceId: string,
  update: { oldVersion: string; newVersion: string },
): void {
  const instance = world.state.instances[instanceId];
  if (!instance) return;
  instance.replaceAt = world.clock.now();
  const data = {
    chute_id: instance.chuteId,
    instance_id: instanceId,
    miner_hotkey: instance.minerHotkey,
    old_version: update.oldVersion,
    new_version: update.newVersion,
    reason: 'chute updated',
  };
  world.emit('rolling_update', data, [instance.minerHotkey]);
}

function stepInstances(world: World): void {
  const now = world.clock.now();
  const upMs = (world.generation === 'v25' ? 1.5 : 3) * hourMs;
  for (const instance of Object.values(world.state.instances)) {
    const job = instance.jobId === null ? undefined : world.state.jobs[instance.jobId];
    if (instance.lostAt !== null && now - instance.lostAt >= lostMs) {
      endInstance(world, instance, 'lost', 'not reachable any more');
    } else if (instance.activatedAt === null) {
      if (now - instance.createdAt >= upMs) endInstance(world, instance, 'failed', 'never became active');
    } else if (job && now - instance.activatedAt >= job.durationSeconds * 1000) {
      endInstance(world, instance, 'valid', 'the job is done');
    }
  }
}

/** Do all that is due by now. */
export function advance(world: World): void {
  for (const chute of allChutes(world)) {
    stepRolling(world, chute);
    remindOfBounty(world, chute);
  }
  stepInstances(world);
}
