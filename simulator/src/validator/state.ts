// All that the simulated validator knows and must not forget: one JSON file, written whole and atomically, at most every 100 ms.
// Times are ms of the simulated clock; seeds are decimal strings.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { CatalogueChute } from '../catalogue.ts';
import type { NodeArgs } from './nodeargs.ts';

export interface NodeState extends NodeArgs {
  seed: string;
  minerHotkey: string;
  serverId: string;
  createdAt: number;
  verifiedAt: number | null;
  verificationError: string | null;
}

export interface ServerState {
  serverId: string;
  name: string;
  ip: string;
  minerHotkey: string;
  createdAt: number;
  updatedAt: number;
}

export interface TaskState {
  taskId: string;
  minerHotkey: string;
  nodeIds: string[];
  status: 'pending' | 'verified' | 'failed';
  detail: string | null;
}

export interface RollingState {
  oldVersion: string;
  newVersion: string;
  startedAt: number;
  permitted: Record<string, number>;
  /** Own instances of the old version that have not been announced yet. */
  queue: string[];
  nextAt: number;
  pauseMs: number;
}

export interface ChuteState {
  chuteId: string;
  version: string;
  updatedAt: number | null;
  targetCount: number;
  othersActive: number;
  urgency: number;
  manual: number;
  disabled: boolean;
  bounty: { openedAt: number; notifiedAt: number } | null;
  lastClaimAt: number | null;
  rolling: RollingState | null;
  /** Present for a chute that is not in the catalogue file. */
  created: CatalogueChute | null;
}

export interface ConfigState {
  configId: string;
  chuteId: string;
  version: string;
  minerHotkey: string;
  jobId: string | null;
  envKey: string;
  issuedAt: number;
  /** When a claim used the token up, successful or not. */
  spentAt: number | null;
  instanceId: string | null;
}

export interface PortMapping {
  internal_port: number;
  external_port: number;
  proto: string;
}

export interface InstanceState {
  instanceId: string;
  configId: string;
  chuteId: string;
  version: string;
  minerHotkey: string;
  host: string;
  portMappings: PortMapping[];
  nodeIds: string[];
  gpuModel: string;
  jobId: string | null;
  seed: string;
  symmetricKey: string;
  createdAt: number;
  verifiedAt: number | null;
  activatedAt: number | null;
  verificationError: string | null;
  /** Multiplier at activation, and the bounty factor in it (1 without bounty). */
  cm0: number;
  boost: number;
  /** Seconds of active time that counted at `cm0`, and multiplier-seconds that followed the chute, up to `accruedAt`. */
  frozenSeconds: number;
  followed: number;
  accruedAt: number;
  /** The validator told the miner to replace it: its removal is valid. */
  replaceAt: number | null;
  /** No longer reachable since. */
  lostAt: number | null;
}

export interface JobState {
  jobId: string;
  chuteId: string;
  method: string;
  gpuCount: number;
  computeMultiplier: number;
  exclude: string[];
  diskGb: number;
  durationSeconds: number;
  createdAt: number;
  attempted: string[];
  instanceId: string | null;
  finishedAt: number | null;
}

export interface Termination {
  chuteId: string;
  minerHotkey: string;
  at: number;
  bad: boolean;
  /** Removed by the miner without the validator's word: starts a thrash cool-down. */
  thrash: boolean;
}

export interface Violation {
  at: number;
  code: string;
  detail: string;
}

export interface ValidatorState {
  format: 1;
  /** Base64 of the key that signs launch tokens. */
  tokenKey: string;
  nodes: Record<string, NodeState>;
  servers: Record<string, ServerState>;
  tasks: Record<string, TaskState>;
  chutes: Record<string, ChuteState>;
  configs: Record<string, ConfigState>;
  instances: Record<string, InstanceState>;
  jobs: Record<string, JobState>;
  /** Who registered a GPU last, also after it was removed. */
  gpuOwners: Record<string, { minerHotkey: string; at: number }>;
  terminations: Termination[];
  violations: Violation[];
  /** Multiplier-seconds of instances that have ended. */
  paid: number;
  claims: number;
  activations: number;
  rejected: number;
  outage: 'none' | 'error' | 'empty';
}

export function emptyState(tokenKey: string): ValidatorState {
  return {
    format: 1,
    tokenKey,
    nodes: {},
    servers: {},
    tasks: {},
    chutes: {},
    configs: {},
    instances: {},
    jobs: {},
    gpuOwners: {},
    terminations: [],
    violations: [],
    paid: 0,
    claims: 0,
    activations: 0,
    rejected: 0,
    outage: 'none',
  };
}

/** The saved state; undefined when there is no file. Throws E-STORE for a file that is not such a state. */
export function loadState(file: string): ValidatorState | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MinerError('E-STORE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  try {
    const state = JSON.parse(text) as ValidatorState;
    const tables: unknown[] = [state.nodes, state.chutes, state.configs, state.instances, state.jobs];
    if (state.format === 1 && tables.every((table) => typeof table === 'object' && table !== null)) return state;
  } catch {
    // Falls through to the same answer as a wrong shape.
  }
  throw new MinerError('E-STORE', `${file} is no state of a simulated validator; delete it to start afresh`);
}

/** Writes `state` at most every `intervalMs` real milliseconds after `changed()`, and at `flush()`. */
export function stateWriter(file: string | undefined, state: ValidatorState, intervalMs = 100) {
  let timer: NodeJS.Timeout | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (file === undefined) return;
    const next = `${file}.${process.pid}.next`;
    writeFileSync(next, JSON.stringify(state), { mode: 0o600 });
    renameSync(next, file);
  }
  function changed(): void {
    if (file !== undefined) timer ??= setTimeout(flush, intervalMs);
  }
  return { changed, flush };
}
