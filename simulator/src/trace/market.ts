// The market engine: plays records and its own events in their order up to a time (trace format, sections 2 to 4). Deterministic: the
// same trace and the same actions give the same market.

import type { Trace } from './format.ts';
import { instanceCreated, modelCached, tryActivate } from './lifecycle.ts';
import { applyRecord } from './records.ts';
import { accrued, removeDeployment, settle } from './removal.ts';
import { createState, type InternalEvent, type Market, touchServer } from './state.ts';
import type { ViolationCode } from './violations.ts';

function applyInternal(market: Market, event: InternalEvent): void {
  if (event.kind === 'outage_end') {
    market.changed = true;
    return;
  }
  if (event.kind === 'healthy') {
    touchServer(market, event.server);
    return;
  }
  if (event.kind === 'drained') {
    const done = event.server.gpus.filter(({ freeAt }) => freeAt === event.freeAt);
    for (const gpu of done) gpu.freeAt = null;
    if (done.length > 0) touchServer(market, event.server);
    return;
  }
  const { deployment } = event;
  // It ended before: only the queue remembers it.
  if (!market.deployments.has(deployment.id)) return;
  if (event.kind === 'instance') instanceCreated(market, deployment);
  else if (event.kind === 'model') modelCached(market, deployment);
  else if (event.kind === 'failure') removeDeployment(market, deployment, 'launch_failed');
  else if (event.kind === 'activation') tryActivate(market, deployment);
  else if (event.kind === 'job_end') removeDeployment(market, deployment, 'job_finished');
  else if (deployment.version !== deployment.chute.version) removeDeployment(market, deployment, 'old_version');
}

export interface Engine {
  market: Market;
  /** Everything with time <= `to` (or < `to` when `exclusive`) happens. */
  advance(to: number, exclusive?: boolean): void;
}

export function createEngine(trace: Trace): Engine {
  const market = createState(trace);
  const { records } = trace;
  let next = 0;

  function advance(to: number, exclusive = false): void {
    for (;;) {
      const record = records[next];
      const recordAt = record?.t ?? Number.POSITIVE_INFINITY;
      const eventAt = market.queue.nextAt();
      const at = Math.min(recordAt, eventAt);
      if (exclusive ? at >= to : at > to) break;
      market.now = at;
      if (record && recordAt <= eventAt) {
        next++;
        applyRecord(market, record);
        continue;
      }
      const event = market.queue.pop();
      if (!event) break;
      applyInternal(market, event);
    }
    market.now = to;
  }
  return { market, advance };
}

/** Section 4.7; multiplier-hours, hours, USD. */
export interface TraceResult {
  score: number;
  gpu_hours: number;
  cost_usd: number;
  busy_cost_usd: number;
  score_per_usd: number;
  cold_starts: number;
  preemptions: number;
  wasted_launches: number;
  rule_violations: number;
  /** How often each rule was broken. */
  violations: Partial<Record<ViolationCode, number>>;
  launches: number;
  activations: number;
}

/** The result at the end of the trace: active deployments are counted, pending ones count nothing. Call once, at T. */
export function resultOf({ fleet, deployments, tally, now }: Market): TraceResult {
  let { paid, gpuSeconds, busyCost } = tally;
  for (const deployment of deployments.values()) {
    settle(deployment, now);
    paid += accrued(deployment);
    const { gpus, server, createdAt, activatedAt } = deployment;
    gpuSeconds += gpus.length * (now - (activatedAt ?? now));
    busyCost += (server.spec.hourly_cost * gpus.length * (now - createdAt)) / 3600;
  }
  let cost = 0;
  for (const { hourly_cost, gpu_count, join_t, leave_t } of fleet.servers) {
    const until = Math.min(leave_t ?? now, now);
    cost += (hourly_cost * gpu_count * Math.max(0, until - Math.max(0, join_t))) / 3600;
  }
  const score = paid / 3600;
  return {
    score,
    gpu_hours: gpuSeconds / 3600,
    cost_usd: cost,
    busy_cost_usd: busyCost,
    score_per_usd: cost > 0 ? score / cost : 0,
    cold_starts: tally.coldStarts,
    preemptions: tally.preemptions,
    wasted_launches: tally.wastedLaunches,
    rule_violations: [...tally.violations.values()].reduce((sum, n) => sum + n, 0),
    violations: Object.fromEntries(tally.violations),
    launches: tally.launches,
    activations: tally.activations,
  };
}
