// The end of a deployment: what it is paid, what its end does to GPUs, cool-downs and the record of terminations
// (trace format, sections 4.2 thrash, 4.4 and 4.5).

import { accrue, runMultiplier, startupShare } from './multiplier.ts';
import type { CooldownView } from './protocol.ts';
import { activeTotal, type Deployment, isPrivate, type Market, never, touchChute, touchServer } from './state.ts';
import type { BadRemoval } from './violations.ts';

const drainSeconds = 60;
/** Public instances removed earlier earn nothing. */
const youngSeconds = 3600;
const thrashSeconds = 7200;
const lastInstanceShare = 0.1;

/** Why a deployment ended; the word strategies read in `instance_deleted`. */
export type EndReason =
  | 'removed'
  | 'preempted'
  | 'scale_down'
  | 'old_version'
  | 'chute_deleted'
  | 'job_finished'
  | 'server_down'
  | 'server_leave'
  | 'launch_failed'
  | 'activation_423'
  | 'job_gone';

const valid: ReadonlySet<EndReason> = new Set(['scale_down', 'old_version', 'chute_deleted', 'job_finished']);

function byAction(reason: EndReason): boolean {
  return reason === 'removed' || reason === 'preempted';
}

function aliveSeconds({ activatedAt }: Deployment, now: number): number {
  return activatedAt === null ? 0 : now - activatedAt;
}

function isLastInstance({ activatedAt, job, chute }: Deployment): boolean {
  return activatedAt !== null && !job && activeTotal(chute) === 1;
}

/** The rule that removing this deployment now breaks: the first that applies; null if none. */
export function badRemoval(deployment: Deployment, now: number): BadRemoval | null {
  if (deployment.job) return 'job_removed';
  if (deployment.activatedAt === null) return null;
  if (isPrivate(deployment.chute)) return 'private_removed';
  if (aliveSeconds(deployment, now) < youngSeconds) return 'young_removed';
  return isLastInstance(deployment) ? 'last_instance_removed' : null;
}

/** Brings the pay of an active deployment up to now; due before its chute's multiplier changes and at its end. */
export function settle(deployment: Deployment, now: number): void {
  const { activatedAt, settledAt, chute, job, accrual } = deployment;
  if (activatedAt === null) return;
  accrue(accrual, settledAt - activatedAt, now - activatedAt, runMultiplier(chute.factors), job !== null);
  deployment.settledAt = now;
}

/** Multiplier-seconds accrued so far, with the bounty's factor or (`plain`) without; settle first. */
export function accrued(deployment: Deployment, plain = false): number {
  const { activatedAt, instanceAt, accrual, cm0, boost } = deployment;
  if (activatedAt === null) return 0;
  const rate = plain ? cm0 / boost : cm0;
  return rate * (startupShare * (activatedAt - instanceAt) + accrual.own) + accrual.followed;
}

/** Multiplier-seconds paid when a settled deployment ends now (trace format, section 4.4). */
export function pay(deployment: Deployment, reason: EndReason, now: number): number {
  const young = aliveSeconds(deployment, now) < youngSeconds;
  if (reason === 'server_down' || reason === 'server_leave') return young ? 0 : accrued(deployment);
  if (!byAction(reason)) return accrued(deployment);
  if (deployment.job || isPrivate(deployment.chute) || young) return 0;
  return isLastInstance(deployment) ? lastInstanceShare * accrued(deployment, true) : accrued(deployment);
}

function isBadTermination(deployment: Deployment, reason: EndReason, now: number): boolean {
  if (valid.has(reason)) return false;
  if (aliveSeconds(deployment, now) < youngSeconds) return true;
  return byAction(reason) && badRemoval(deployment, now) !== null;
}

function releaseGpus(market: Market, deployment: Deployment, atOnce: boolean): void {
  const freeAt = market.now + drainSeconds;
  for (const gpu of deployment.gpus) {
    gpu.owner = null;
    gpu.freeAt = atOnce ? null : freeAt;
  }
  if (!atOnce) market.queue.push(freeAt, { kind: 'drained', server: deployment.server, freeAt });
}

/** Of two cool-downs of a chute the one that ends later counts. */
export function startCooldown(market: Market, cooldown: CooldownView): void {
  const running = market.cooldowns.get(cooldown.chute_id)?.cooldown_expires_at ?? never;
  if (cooldown.cooldown_expires_at > running) market.cooldowns.set(cooldown.chute_id, cooldown);
}

/** Ends a deployment now, pays it and frees its GPUs. Does nothing if it ended before. */
export function removeDeployment(market: Market, deployment: Deployment, reason: EndReason): void {
  if (!market.deployments.has(deployment.id)) return;
  const { now, tally } = market;
  const { chute, server, activatedAt, job } = deployment;
  const active = activatedAt !== null;
  settle(deployment, now);
  tally.paid += pay(deployment, reason, now);
  tally.busyCost += (server.spec.hourly_cost * deployment.gpus.length * (now - deployment.createdAt)) / 3600;
  tally.gpuSeconds += deployment.gpus.length * aliveSeconds(deployment, now);
  if (!active) tally.wastedLaunches++;
  else {
    market.terminations.push({ at: now, bad: isBadTermination(deployment, reason, now) });
    if (!job && byAction(reason)) {
      const { chute_id } = chute.spec;
      startCooldown(market, { chute_id, deleted_at: now, cooldown_expires_at: now + thrashSeconds });
    }
  }
  market.deployments.delete(deployment.id);
  server.deployments.delete(deployment);
  chute.deployments.delete(deployment);
  releaseGpus(market, deployment, reason === 'server_down' || reason === 'server_leave');
  touchServer(market, server);
  if (active) touchChute(market, chute);
  market.events.push({
    event: {
      t: now,
      type: 'instance_deleted',
      deployment_id: deployment.id,
      chute_id: chute.spec.chute_id,
      server: server.spec.name,
      job_id: job?.job_id ?? null,
      reason,
      was_active: active,
    },
    fromValidator: false,
  });
}
