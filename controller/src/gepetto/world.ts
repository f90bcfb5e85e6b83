// All that a plan may depend on, as one immutable snapshot, and what the planner remembers from one plan to the next.

import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec, MemberHealth, ObservedPod } from '../domain/deployment.ts';
import type { Feeds } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';

export interface World {
  /** Own hotkey (ss58). */
  hotkey: string;
  /** Chutes by id, from the last good feed of each validator. */
  chutes: ReadonlyMap<string, Chute>;
  /** Feeds by validator hotkey. */
  feeds: ReadonlyMap<string, Feeds>;
  servers: readonly Server[];
  /** Names under `servers/` on `main`: such a server is known even while the store has no row for it. */
  configuredServers: ReadonlySet<string>;
  /** Desired state: branch `live`. */
  desired: ReadonlyMap<string, DeploymentSpec>;
  /** By deployment id; includes those that went within the last minutes. */
  lifecycles: ReadonlyMap<string, DeploymentLifecycle>;
  pods: readonly ObservedPod[];
  health: ReadonlyMap<string, MemberHealth>;
  /** Explicit statements: a `chute_deleted` event or a 404 for that chute. */
  goneChutes: ReadonlySet<string>;
  /** Instance ids the validator asked to replace by a newer version (`rolling_update`). */
  rollingInstances: ReadonlySet<string>;
  /** Deployments a person asked to remove. */
  undeployRequests: ReadonlySet<string>;
  /** Open rental offers by job id. */
  jobs?: ReadonlyMap<string, JobOffer>;
  /** When the thrash cool-down of a chute ends, ms: an instance before that gets neither urgency nor bounty (gepetto.md 4.7). */
  cooldowns?: ReadonlyMap<string, number>;
  /** What is known about a chute beyond its feed item, by chute id. */
  market?: ReadonlyMap<string, ChuteMarket>;
  /** What is known about a server beyond its inventory row, by name. */
  sites?: ReadonlyMap<string, SiteFacts>;
  /** Multiplier at activation by deployment id, for those of which it was seen. */
  firstMultipliers?: ReadonlyMap<string, number>;
}

/** A rental that the validator offers (gepetto.md 6). */
export interface JobOffer {
  jobId: string;
  chuteId: string;
  gpuCount: number;
  computeMultiplier: number;
  /** GB of scratch disk. */
  diskGb: number;
  /** Hotkeys that may not take it. */
  excluded: readonly string[];
  /** Its only token was used up. */
  attempted: boolean;
}

/** Every field is optional: what is missing is estimated. */
export interface ChuteMarket {
  /** Multiplier without bounty. */
  runMultiplier?: number;
  /** Factor within `runMultiplier` that a cool-down takes away. */
  urgency?: number;
  /** ms since the Unix epoch. */
  bountyOpenedAt?: number;
  /** Active instances of all miners, those of older versions included. */
  activeTotal?: number;
  /** What the model is called in the caches of servers. */
  modelKey?: string;
  modelGb?: number;
  imageGb?: number;
  /** Start-up after everything is loaded. */
  warmupMs?: number;
}

export interface SiteFacts {
  /** When the server leaves the fleet, ms. */
  leavingAt?: number;
  netMbps?: number;
  /** GB/s. */
  diskReadGbps?: number;
  /** Model keys and images that are on the server; undefined when unknown. */
  models?: ReadonlySet<string>;
  images?: ReadonlySet<string>;
}

export interface Backoff {
  until: number;
  failures: number;
  because: string;
}

/** Serialisable; changed only by returning a new one. Times in ms. */
export interface Memory {
  /** Launch refusals by chute id. */
  refusals: ReadonlyMap<string, Backoff>;
  /** Failed launches by `<chute id>@<server>`. */
  failures: ReadonlyMap<string, Backoff>;
  /** When something was first seen missing, by `<rule>:<id>`, with the time of the snapshot that said so. */
  missing: ReadonlyMap<string, { firstSeenAt: number; snapshotAt: number }>;
}

export const emptyMemory: Memory = { refusals: new Map(), failures: new Map(), missing: new Map() };

const backoffBaseMs = 60_000;
const backoffCapMs = 3_600_000;

/** One more failure: 60 s, doubled each time, at most an hour (gepetto.md W11). */
export function backOff(
  known: ReadonlyMap<string, Backoff>,
  key: string,
  now: number,
  because: string,
): ReadonlyMap<string, Backoff> {
  const before = known.get(key);
  const failures = (before?.failures ?? 0) + 1;
  // A longer wait that was imposed for another reason stays.
  const until = Math.max(before?.until ?? 0, now + Math.min(backoffCapMs, backoffBaseMs * 2 ** (failures - 1)));
  return new Map(known).set(key, { until, failures, because });
}

/** When the last failure was counted. */
export function failedAt({ until, failures }: Backoff): number {
  return until - Math.min(backoffCapMs, backoffBaseMs * 2 ** (failures - 1));
}

/** Wait without counting a failure: the other side was out of reach, which says nothing about the key. */
export function holdOff(
  known: ReadonlyMap<string, Backoff>,
  key: string,
  until: number,
  because: string,
): ReadonlyMap<string, Backoff> {
  return new Map(known).set(key, { until, failures: known.get(key)?.failures ?? 0, because });
}

export function isBackedOff(known: ReadonlyMap<string, Backoff>, key: string, now: number): boolean {
  return (known.get(key)?.until ?? 0) > now;
}

/** Forget a failure count after a success. */
export function reset(known: ReadonlyMap<string, Backoff>, key: string): ReadonlyMap<string, Backoff> {
  if (!known.has(key)) return known;
  const next = new Map(known);
  next.delete(key);
  return next;
}

export function pairKey(chuteId: string, server: string): string {
  return `${chuteId}@${server}`;
}

/** A chute's version on a GPU model: some never work there. */
export function modelKey(chute: { chuteId: string; version: string }, model: string): string {
  return `${chute.chuteId}:${chute.version}@model:${model}`;
}
