// What each record of a trace does to the market (trace format, sections 2, 4.2, 4.5, 4.6).

import type { RecordOf, TraceRecord } from './format.ts';
import type { VisibleEvent } from './protocol.ts';
import { type EndReason, removeDeployment, settle, startCooldown } from './removal.ts';
import {
  activeTotal,
  type Chute,
  type Deployment,
  inOutage,
  isActive,
  isRolling,
  type Market,
  ownActive,
  rollingSeconds,
  type Server,
  touchChute,
  touchServer,
} from './state.ts';

/** A chute's next bounty takes at least this long after a claim. */
const claimPause = 600;

function tell(market: Market, event: VisibleEvent, fromValidator = true): void {
  market.events.push({ event, fromValidator });
}

function oldestFirst(a: Deployment, b: Deployment): number {
  return (a.activatedAt ?? 0) - (b.activatedAt ?? 0) || (a.id < b.id ? -1 : 1);
}

function changeBounty(market: Market, chute: Chute, record: RecordOf<'bounty_change'>): void {
  const { bounty_id: id, state } = record;
  if (state === 'closed') {
    if (chute.bounty?.id !== id) return;
    chute.bounty = null;
    chute.lastClaimAt = market.now;
  } else {
    const wanted = isRolling(chute, market.now) || activeTotal(chute) < chute.targetCount;
    if (market.now - chute.lastClaimAt < claimPause || chute.disabled || !wanted) {
      market.voidBounties.add(id);
      return;
    }
    chute.bounty = { id, openedAt: market.now };
  }
  tell(market, record);
}

function updateChute(market: Market, chute: Chute, record: RecordOf<'chute_updated'>): void {
  chute.version = record.version;
  chute.updatedAt = market.now;
  const running = [...chute.deployments].filter(isActive).sort(oldestFirst);
  for (const [i, deployment] of running.entries()) {
    const at = market.now + Math.min(rollingSeconds, record.rolling_pace_s * (i + 1));
    market.queue.push(at, { kind: 'rolling_removal', deployment });
  }
  tell(market, record);
}

/** The validator's scale-down of our share. */
function scaleDown(market: Market, chute: Chute): void {
  const own = ownActive(chute).sort(oldestFirst);
  const total = chute.others + own.length;
  if (total <= chute.targetCount || own.length === 0) return;
  const removed = Math.floor(((total - chute.targetCount) * own.length) / total);
  for (const deployment of own.slice(0, removed)) removeDeployment(market, deployment, 'scale_down');
}

type ChuteRecord = RecordOf<
  | 'chute_created'
  | 'chute_updated'
  | 'chute_deleted'
  | 'chute_disabled'
  | 'bounty_change'
  | 'em_change'
  | 'utilization'
  | 'instance_activated'
  | 'instance_deleted'
  | 'job_created'
>;

function applyToChute(market: Market, chute: Chute, record: ChuteRecord): void {
  if (!chute.live && record.type !== 'chute_created') return;
  touchChute(market, chute);
  switch (record.type) {
    case 'chute_created':
      chute.live = true;
      chute.version = record.version;
      tell(market, record);
      return;
    case 'chute_updated':
      updateChute(market, chute, record);
      return;
    case 'chute_deleted':
      for (const deployment of [...chute.deployments]) removeDeployment(market, deployment, 'chute_deleted');
      chute.bounty = null;
      chute.live = false;
      tell(market, record);
      return;
    case 'chute_disabled':
      chute.disabled = record.disabled;
      return;
    case 'bounty_change':
      changeBounty(market, chute, record);
      return;
    case 'em_change':
      for (const deployment of chute.deployments) settle(deployment, market.now);
      chute.factors = { ...chute.factors, urgency: record.urgency, manual: record.manual };
      return;
    case 'utilization':
      chute.targetCount = record.target_count;
      chute.scalable = record.scalable;
      scaleDown(market, chute);
      return;
    case 'instance_activated':
      if (record.bounty_id === undefined || !market.voidBounties.has(record.bounty_id)) chute.others += record.n;
      return;
    case 'instance_deleted':
      chute.others = Math.max(0, chute.others - record.n);
      return;
    case 'job_created': {
      market.jobs.set(record.job_id, record);
      const { duration_s: _, open_until: __, ...shown } = record;
      tell(market, shown);
    }
  }
}

type ServerRecord = RecordOf<
  | 'server_join'
  | 'server_leave_notice'
  | 'server_leave'
  | 'server_down'
  | 'server_up'
  | 'server_unhealthy'
  | 'server_lock'
>;

function stopAll(market: Market, server: Server, reason: EndReason): void {
  for (const deployment of [...server.deployments]) removeDeployment(market, deployment, reason);
  for (const gpu of server.gpus) gpu.freeAt = null;
}

function applyToServer(market: Market, server: Server, record: ServerRecord): void {
  touchServer(market, server);
  switch (record.type) {
    case 'server_join':
      server.present = true;
      return;
    case 'server_leave_notice':
      server.leavingAt = record.leaving_at;
      return;
    case 'server_leave':
      server.present = false;
      stopAll(market, server, 'server_leave');
      tell(market, record, false);
      return;
    case 'server_down':
      server.down = true;
      stopAll(market, server, 'server_down');
      tell(market, record, false);
      return;
    case 'server_up':
      server.down = false;
      return;
    case 'server_unhealthy':
      server.unhealthyUntil = record.until;
      market.queue.push(record.until, { kind: 'healthy', server });
      return;
    case 'server_lock':
      server.locked = record.locked;
  }
}

/** Faults are not applied: a launch looks them up. */
export function applyRecord(market: Market, record: TraceRecord): void {
  if (record.type === 'fault') return;
  if ('server' in record) {
    const server = market.servers.get(record.server);
    if (server) applyToServer(market, server, record);
    return;
  }
  if (record.type === 'outage') {
    const { outageUntil } = market;
    outageUntil[record.mode] = Math.max(outageUntil[record.mode], record.until);
    market.queue.push(record.until, { kind: 'outage_end' });
    market.changed = true;
    return;
  }
  // The validator's side is not seen before the outage ends.
  if (!inOutage(market, 'error')) market.changed = true;
  if (record.type === 'job_deleted') {
    if (market.jobs.delete(record.job_id)) tell(market, record);
  } else if (record.type === 'thrash_cooldown') {
    const { chute_id, deleted_at, cooldown_expires_at } = record;
    startCooldown(market, { chute_id, deleted_at, cooldown_expires_at });
  } else {
    const chute = market.chutes.get(record.chute_id);
    if (chute) applyToChute(market, chute, record);
  }
}
