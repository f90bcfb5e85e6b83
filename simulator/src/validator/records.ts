// What the simulated validator keeps in its state. Plain JSON: times are ms of the simulated clock, seeds are decimal strings.

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
  /** Absent in older files. */
  isTee?: boolean;
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
  /** Null for an instance that its miner announced without a launch config. */
  configId: string | null;
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

/** A miner's report on its own deployments (protocol.md 6.5). */
export interface AuditState {
  entryId: string;
  minerHotkey: string;
  /** Chain block that the miner named. */
  block: number;
  /** Of the bytes received, hex: what the miner committed to on chain. */
  sha256: string;
  createdAt: number;
  /** As the miner wrote them, ISO. */
  startTime: string;
  endTime: string;
  report: unknown;
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
  /** Hotkeys that may neither add GPUs nor launch. */
  blacklist: string[];
  audits: AuditState[];
}
