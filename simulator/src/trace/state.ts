// The market at one moment: plain mutable records that market.ts and its parts change as simulated time passes, and the questions that
// several of them ask. No clock, no chance, no I/O.

import type { ChuteSpec, Fleet, RecordOf, ServerSpec, Trace } from './format.ts';
import { createModelCache, type ModelCache } from './model-cache.ts';
import type { Accrual, Factors } from './multiplier.ts';
import { bountyBoost, runMultiplier } from './multiplier.ts';
import type { CooldownView, VisibleEvent } from './protocol.ts';
import { createQueue, type EventQueue } from './queue.ts';
import type { ViolationCode } from './violations.ts';

/** A chute counts as rolling for this long after an update. */
export const rollingSeconds = 43200;
export const never = Number.NEGATIVE_INFINITY;

export interface GpuSlot {
  id: string;
  owner: Deployment | null;
  /** Draining until then; null when not draining. */
  freeAt: number | null;
}

export interface Server {
  spec: ServerSpec;
  present: boolean;
  down: boolean;
  locked: boolean;
  unhealthyUntil: number;
  leavingAt: number | null;
  gpus: GpuSlot[];
  images: Set<string>;
  models: ModelCache;
  deployments: Set<Deployment>;
  /** Counts changes, so that views can be kept. */
  revision: number;
}

export interface Chute {
  spec: ChuteSpec;
  live: boolean;
  version: string;
  targetCount: number;
  others: number;
  scalable: boolean;
  disabled: boolean;
  factors: Factors;
  bounty: { id: string; openedAt: number } | null;
  lastClaimAt: number;
  updatedAt: number;
  /** Own, pending and active, jobs included. */
  deployments: Set<Deployment>;
  changedAt: number;
  revision: number;
}

export interface Deployment {
  id: string;
  chute: Chute;
  server: Server;
  version: string;
  gpus: GpuSlot[];
  job: RecordOf<'job_created'> | null;
  diskGb: number;
  createdAt: number;
  instanceAt: number;
  instanceCreated: boolean;
  readyAt: number;
  /** Image or model was missing at launch. */
  cold: boolean;
  activatedAt: number | null;
  cm0: number;
  /** Bounty factor inside `cm0`. */
  boost: number;
  accrual: Accrual;
  settledAt: number;
  changedAt: number;
}

export type InternalEvent =
  | { kind: 'drained'; server: Server; freeAt: number }
  | { kind: 'instance' | 'model' | 'failure' | 'activation' | 'job_end'; deployment: Deployment }
  | { kind: 'rolling_removal'; deployment: Deployment }
  | { kind: 'outage_end' }
  | { kind: 'healthy'; server: Server };

export interface Tally {
  paid: number;
  gpuSeconds: number;
  busyCost: number;
  launches: number;
  activations: number;
  coldStarts: number;
  preemptions: number;
  wastedLaunches: number;
  violations: Map<ViolationCode, number>;
}

export interface Market {
  fleet: Fleet;
  now: number;
  servers: Map<string, Server>;
  chutes: Map<string, Chute>;
  /** Open offers. */
  jobs: Map<string, RecordOf<'job_created'>>;
  /** Jobs whose only token was granted. */
  attempted: Set<string>;
  deployments: Map<string, Deployment>;
  cooldowns: Map<string, CooldownView>;
  /** Ends of activated deployments. */
  terminations: { at: number; bad: boolean }[];
  faults: RecordOf<'fault'>[];
  voidBounties: Set<string>;
  outageUntil: { error: number; empty: number };
  queue: EventQueue<InternalEvent>;
  /** Since the last tick that was sent. */
  events: { event: VisibleEvent; fromValidator: boolean }[];
  /** Something visible changed since that tick. */
  changed: boolean;
  tally: Tally;
  nextDeployment: number;
}

export function createState({ fleet, chutes, records }: Trace): Market {
  const sizes = new Map(chutes.map(({ sim }) => [sim.model_key, sim.model_gb]));
  const newServer = (spec: ServerSpec): Server => ({
    spec,
    present: spec.join_t <= 0,
    down: false,
    locked: spec.locked,
    unhealthyUntil: never,
    leavingAt: null,
    gpus: spec.gpu_ids.map((id) => ({ id, owner: null, freeAt: null })),
    images: new Set(),
    models: createModelCache(spec.cache_gb, (key) => sizes.get(key) ?? 0, spec.cached_models),
    deployments: new Set(),
    revision: 0,
  });
  const newChute = (spec: ChuteSpec): Chute => ({
    spec,
    live: spec.initial,
    version: spec.state.version,
    targetCount: spec.state.target_count,
    others: spec.state.others_active,
    scalable: spec.state.scalable,
    disabled: spec.state.disabled,
    factors: { ...spec.em, urgency: spec.state.urgency, manual: spec.state.manual },
    bounty: null,
    lastClaimAt: never,
    updatedAt: never,
    deployments: new Set(),
    changedAt: 0,
    revision: 0,
  });
  return {
    fleet,
    now: 0,
    servers: new Map(fleet.servers.map((spec) => [spec.name, newServer(spec)])),
    chutes: new Map(chutes.map((spec) => [spec.chute_id, newChute(spec)])),
    jobs: new Map(),
    attempted: new Set(),
    deployments: new Map(),
    cooldowns: new Map(),
    terminations: [],
    faults: records.filter((record) => record.type === 'fault'),
    voidBounties: new Set(),
    outageUntil: { error: never, empty: never },
    queue: createQueue(),
    events: [],
    changed: false,
    tally: {
      paid: 0,
      gpuSeconds: 0,
      busyCost: 0,
      launches: 0,
      activations: 0,
      coldStarts: 0,
      preemptions: 0,
      wastedLaunches: 0,
      violations: new Map(),
    },
    nextDeployment: 1,
  };
}

export function touchServer(market: Market, server: Server): void {
  server.revision++;
  market.changed = true;
}

export function touchChute(market: Market, chute: Chute): void {
  chute.revision++;
  chute.changedAt = market.now;
}

export function isPrivate(chute: Chute): boolean {
  return !chute.spec.public;
}

export function isActive(deployment: Deployment): boolean {
  return deployment.activatedAt !== null;
}

/** Own active instances; jobs are no instances of the chute's target. */
export function ownActive(chute: Chute): Deployment[] {
  return [...chute.deployments].filter((deployment) => isActive(deployment) && !deployment.job);
}

export function activeTotal(chute: Chute): number {
  return chute.others + ownActive(chute).length;
}

export function isRolling(chute: Chute, now: number): boolean {
  return now < chute.updatedAt + rollingSeconds;
}

/** What counts against the target: while rolling, own instances of older versions do not (trace format, section 4.2). */
export function quotaUsed(chute: Chute, now: number): number {
  if (!isRolling(chute, now)) return activeTotal(chute);
  return chute.others + ownActive(chute).filter(({ version }) => version === chute.version).length;
}

export function offeredMultiplier(chute: Chute, at: number): number {
  return runMultiplier(chute.factors) * (chute.bounty ? bountyBoost(at - chute.bounty.openedAt) : 1);
}

export function inOutage(market: Market, mode: 'error' | 'empty'): boolean {
  return market.now < market.outageUntil[mode];
}

export function inCooldown(market: Market, chute: Chute): boolean {
  return market.now < (market.cooldowns.get(chute.spec.chute_id)?.cooldown_expires_at ?? never);
}
