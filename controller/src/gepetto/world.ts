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
  const failures = (known.get(key)?.failures ?? 0) + 1;
  const until = now + Math.min(backoffCapMs, backoffBaseMs * 2 ** (failures - 1));
  return new Map(known).set(key, { until, failures, because });
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
