// What a scenario can make happen: the part of the market that is not this miner.

import { uuidFrom } from '@miner/controller/domain/random.ts';
import type { CatalogueChute } from '../catalogue.ts';
import { createJob, type JobOffer } from './jobs.ts';
import { endInstance } from './lifecycle.ts';
import { activeTotal, type Chute, findChute, instancesOf, openBounty, setFactors, takeBounty } from './market.ts';
import type { ChuteState } from './records.ts';
import type { World } from './world.ts';

export function newChuteState(
  entry: CatalogueChute,
  market: { targetCount: number; othersActive: number },
): ChuteState {
  const { urgency, manual } = entry.item.compute_multiplier_factors;
  return {
    chuteId: entry.item.chute_id,
    version: entry.item.version,
    updatedAt: null,
    ...market,
    urgency,
    manual,
    disabled: entry.item.disabled,
    bounty: null,
    lastClaimAt: null,
    rolling: null,
    created: null,
  };
}

/** All take ids that exist; an unknown chute id throws a RangeError, an unknown instance is ignored. */
export interface Actions {
  /** False where a bounty cannot stand: no room, open already, disabled, or claimed within 10 min. */
  openBounty(chuteId: string): boolean;
  /** Another miner was faster: the bounty goes, its instance counts. */
  closeBounty(chuteId: string): void;
  /** Instances wanted world-wide. Lowered below what runs, own ones end in proportion, oldest first. */
  setTarget(chuteId: string, targetCount: number): void;
  /** Active instances of all other miners. */
  setOthers(chuteId: string, othersActive: number): void;
  setUrgency(chuteId: string, urgency: number): void;
  setDisabled(chuteId: string, disabled: boolean): void;
  /** New version; own instances are replaced one at a time. Returns the version. */
  updateChute(chuteId: string): string;
  deleteChute(chuteId: string): void;
  createChute(entry: CatalogueChute, market?: { targetCount: number; othersActive: number }): void;
  /** Returns the job id. */
  createJob(job: JobOffer): string;
  terminateInstance(instanceId: string, reason: string): void;
  /** The pod stopped answering: deleted after 5 min unless the miner is faster. */
  instanceLost(instanceId: string): void;
  /** All instances of a host stopped answering. */
  nodeLost(host: string): void;
  /** They answer again. */
  nodeFound(host: string): void;
  /** It may neither add GPUs nor launch, until the word is taken back. */
  setBlacklisted(hotkey: string, blacklisted: boolean): void;
  /** Feeds, tokens and activations fail (`error`), or feeds come without items (`empty`). */
  setOutage(mode: 'none' | 'error' | 'empty'): void;
}

export function createActions(world: World): Actions {
  function chuteOf(chuteId: string): Chute {
    const chute = findChute(world, chuteId);
    if (!chute) throw new RangeError(`no chute ${chuteId}`);
    return chute;
  }

  function scaleDown(chute: Chute): void {
    const { state } = chute;
    const total = activeTotal(world, chute);
    const own = instancesOf(world, state.chuteId)
      .filter((instance) => instance.activatedAt !== null && instance.jobId === null)
      .sort((a, b) => Number(a.activatedAt) - Number(b.activatedAt) || a.instanceId.localeCompare(b.instanceId));
    if (total <= state.targetCount) return;
    const removed = own.slice(0, Math.floor(((total - state.targetCount) * own.length) / total));
    state.othersActive -= Math.min(state.othersActive, total - state.targetCount - removed.length);
    for (const instance of removed) endInstance(world, instance, 'valid', 'scaled down');
  }

  function updateChute(chuteId: string): string {
    const { state } = chuteOf(chuteId);
    const oldVersion = state.version;
    const now = world.clock.now();
    state.version = uuidFrom(world.random);
    state.updatedAt = now;
    const own = instancesOf(world, chuteId).filter((instance) => instance.jobId === null);
    const permitted: Record<string, number> = {};
    for (const { minerHotkey } of own) permitted[minerHotkey] = (permitted[minerHotkey] ?? 0) + 1;
    const pauseMs = 1000 * Math.max(1, Math.min(300, 2700 / Math.max(1, own.length)));
    const queue = own.map(({ instanceId }) => instanceId);
    const newVersion = state.version;
    state.rolling = { oldVersion, newVersion, startedAt: now, permitted, queue, nextAt: now + pauseMs, pauseMs };
    const job_only = chuteOf(chuteId).entry.item.cords.length === 0;
    world.emit('chute_updated', { chute_id: chuteId, version: newVersion, job_only });
    world.changed();
    return newVersion;
  }

  function deleteChute(chuteId: string): void {
    const { state } = chuteOf(chuteId);
    for (const instance of instancesOf(world, chuteId)) endInstance(world, instance, 'valid', 'the chute was deleted');
    delete world.state.chutes[chuteId];
    world.emit('chute_deleted', { chute_id: chuteId, version: state.version });
    world.changed();
  }

  function setLost(host: string, lostAt: number | null): void {
    for (const instance of Object.values(world.state.instances)) if (instance.host === host) instance.lostAt = lostAt;
    world.changed();
  }

  return {
    openBounty: (chuteId) => openBounty(world, chuteOf(chuteId)),
    closeBounty(chuteId) {
      const chute = chuteOf(chuteId);
      if (!chute.state.bounty) return;
      takeBounty(world, chute);
      chute.state.othersActive++;
    },
    setTarget(chuteId, targetCount) {
      const chute = chuteOf(chuteId);
      chute.state.targetCount = targetCount;
      scaleDown(chute);
      world.changed();
    },
    setOthers(chuteId, othersActive) {
      chuteOf(chuteId).state.othersActive = othersActive;
      world.changed();
    },
    setUrgency: (chuteId, urgency) => setFactors(world, chuteOf(chuteId), { urgency }),
    setDisabled(chuteId, disabled) {
      chuteOf(chuteId).state.disabled = disabled;
      world.changed();
    },
    updateChute,
    deleteChute,
    createChute(entry, market = { targetCount: 1, othersActive: 0 }) {
      const { chute_id, version, cords } = entry.item;
      world.state.chutes[chute_id] = { ...newChuteState(entry, market), created: entry };
      world.emit('chute_created', { chute_id, version, job_only: cords.length === 0 });
      world.changed();
    },
    createJob: (job) => createJob(world, chuteOf(job.chuteId), job),
    terminateInstance(instanceId, reason) {
      const instance = world.state.instances[instanceId];
      if (instance) endInstance(world, instance, 'valid', reason);
    },
    instanceLost(instanceId) {
      const instance = world.state.instances[instanceId];
      if (instance) instance.lostAt = world.clock.now();
      world.changed();
    },
    nodeLost: (host) => setLost(host, world.clock.now()),
    nodeFound: (host) => setLost(host, null),
    setBlacklisted(hotkey, blacklisted) {
      const others = world.state.blacklist.filter((one) => one !== hotkey);
      world.state.blacklist = blacklisted ? [...others, hotkey] : others;
      world.changed();
    },
    setOutage(mode) {
      world.state.outage = mode;
      world.changed();
    },
  };
}
