// What is kept of the cluster's own work, apart from Kubernetes objects: pods' progress as deadlines, how launches went, broken rules,
// ordered failures. All of it plain data, so that it can be written down and resumed.

import type { ContainerState } from './podstatus.ts';

export type Stage =
  | 'volumes'
  | 'pull'
  | 'config'
  | 'claim'
  | 'prove'
  | 'download'
  | 'load'
  | 'activate'
  | 'settle'
  | 'running'
  | 'ended'
  | 'terminating';

export interface PodRecord {
  name: string;
  uid: string;
  stage: Stage;
  /** When the stage is over, ms; Infinity is written as null: it waits for something else. */
  due: number | null;
  container: ContainerState;
  /** Environment as it was when the container started. */
  env: Record<string, string>;
  attempts: number;
  /** When an ordered failure strikes, ms. */
  failAt: number | undefined;
  claimReply: string | undefined;
  activationUrl: string | undefined;
  log: string[];
}

export interface LaunchTimes {
  server: string;
  syncedAt?: number;
  podCreatedAt?: number;
  pulledAt?: number;
  startedAt?: number;
  claimedAt?: number;
  verifiedAt?: number;
  activatedAt?: number;
}
export type LaunchStep = Exclude<keyof LaunchTimes, 'server'>;

export type ViolationCode =
  | 'gpu-shared'
  | 'gpu-unknown'
  | 'node-port-shared'
  | 'command'
  | 'image'
  | 'token-in-env'
  | 'token-in-git'
  | 'secret-in-git'
  | 'service-links'
  | 'service-order';

export interface Violation {
  /** ms since the Unix epoch, on the cluster's clock. */
  at: number;
  code: ViolationCode;
  detail: string;
}

/** Launches that match every field given. */
export interface LaunchScope {
  chuteId?: string;
  version?: string;
  server?: string;
  gpuShortRef?: string;
}

export interface Ledger {
  /** Note a time of a launch, by default now; the first one stays. */
  mark(deploymentId: string, server: string, step: LaunchStep, at?: number): void;
  launches(): Record<string, LaunchTimes>;
  now(): number;
  /** The same code and detail is reported once. */
  violation(code: ViolationCode, detail: string): void;
  violations(): Violation[];
  failLaunches(scope: LaunchScope, n: number, afterSeconds: number): void;
  /** Seconds after which this launch fails; uses up one ordered failure. */
  takeFailure(launch: Required<LaunchScope>): number | undefined;
  synced(): void;
  syncs(): number;
  snapshot(): LedgerSnapshot;
}

export interface LedgerSnapshot {
  launches: Record<string, LaunchTimes>;
  violations: Violation[];
  failures: { scope: LaunchScope; left: number; afterSeconds: number }[];
  syncs: number;
}

/** `onChange` hears that there is something to write down. */
export function createLedger(now: () => number, onChange: () => void, saved?: LedgerSnapshot): Ledger {
  const launches = new Map(Object.entries(saved?.launches ?? {}));
  const violations = saved?.violations ?? [];
  const failures = saved?.failures ?? [];
  let syncs = saved?.syncs ?? 0;
  const seen = new Set(violations.map(({ code, detail }) => `${code} ${detail}`));
  return {
    now,
    mark(deploymentId, server, step, at = now()) {
      const times = launches.get(deploymentId) ?? { server };
      times[step] ??= at;
      launches.set(deploymentId, times);
      onChange();
    },
    launches: () => structuredClone(Object.fromEntries(launches)),
    violation(code, detail) {
      if (seen.has(`${code} ${detail}`)) return;
      seen.add(`${code} ${detail}`);
      violations.push({ at: now(), code, detail });
      onChange();
    },
    violations: () => structuredClone(violations),
    failLaunches(scope, n, afterSeconds) {
      failures.push({ scope, left: n, afterSeconds });
      onChange();
    },
    takeFailure(launch) {
      const failure = failures.find(
        ({ scope, left }) =>
          left > 0 && Object.entries(scope).every(([key, value]) => launch[key as keyof LaunchScope] === value),
      );
      if (!failure) return undefined;
      failure.left -= 1;
      onChange();
      return failure.afterSeconds;
    },
    synced() {
      syncs += 1;
      onChange();
    },
    syncs: () => syncs,
    snapshot: () => ({ launches: Object.fromEntries(launches), violations, failures, syncs }),
  };
}
