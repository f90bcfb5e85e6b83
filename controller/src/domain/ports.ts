// The outside world as the miner needs it. Adapters implement these interfaces, roles hand them round; adapters know each other only
// through them.

import type { Chute } from './chute.ts';
import type { MinerConfig, ServerConfig } from './config.ts';
import type { Decision } from './decision.ts';
import type { DeploymentLifecycle, DeploymentSpec, MemberHealth, ObservedPod } from './deployment.ts';
import type { MinerEvent } from './event.ts';
import type { DeviceInfo, Server } from './server.ts';
import type { Verification } from './verification.ts';

// ---- validator ------------------------------------------------------------------------------------------------------

/** A feed is either a complete answer or nothing: an empty stream without the explicit marker is not an answer. */
export interface RemoteInstance {
  instanceId: string;
  chuteId: string;
  version: string;
  configId: string | undefined;
  active: boolean;
  /** ms since the Unix epoch; undefined while not verified / not activated. */
  verifiedAt: number | undefined;
  activatedAt: number | undefined;
  /** Multiplier the instance earns, if the validator says so. */
  computeMultiplier: number | undefined;
}

/** One active instance of any miner. */
export interface GlobalInstance {
  instanceId: string;
  chuteId: string;
  computeMultiplier: number;
}

export interface Utilization {
  chuteId: string;
  scalable: boolean;
  updateInProgress: boolean;
  /** Instances the validator wants, and has; undefined if it does not say. */
  targetCount: number | undefined;
  activeInstanceCount: number | undefined;
}

export interface RollingUpdate {
  chuteId: string;
  oldVersion: string;
  newVersion: string;
}

/** Times are when the answer arrived, ms. A feed that failed or came back empty keeps its last value and time. */
export interface Feed<T> {
  fetchedAt: number | undefined;
  items: ReadonlyMap<string, T>;
}

export interface Feeds {
  chutes: Feed<Chute>;
  instances: Feed<RemoteInstance>;
  globalInstances: Feed<GlobalInstance>;
  utilization: Feed<Utilization>;
  rollingUpdates: Feed<RollingUpdate>;
  /** Node uuids (GPU ids) the validator knows as ours. */
  nodes: Feed<string>;
  /** By chute id: until when (ms) a new instance of ours gets neither bounty nor urgency. Only from newer validators. */
  cooldowns: Feed<number>;
}

export interface LaunchGranted {
  granted: true;
  token: string;
  configId: string;
}
export interface LaunchRefused {
  granted: false;
  /** HTTP status; 0 when the validator could not be reached. */
  status: number;
  detail: string;
}

export interface NodeArgs extends Omit<DeviceInfo, 'sxm'> {
  sxm?: boolean | undefined;
  device_index: number;
  gpu_identifier: string;
  verification_host: string;
  verification_port: number;
}

export type VerificationStatus = { status: 'pending' | 'verified' } | { status: 'failed'; detail: string };

/** A GPU that the validator has verified (protocol.md 6.1, `/miner/nodes/`). */
export interface ProvenGpu {
  deviceInfo: DeviceInfo;
  gpuShortRef: string;
  verificationPort: number | undefined;
  seed: bigint | undefined;
}

/** Calls of reference/protocol.md 6, for one validator. Rejects with MinerError E-VALIDATOR (it said no) or E-VALIDATOR-UNREACHABLE. */
export interface ValidatorClient {
  readonly hotkey: string;
  /** `serverId` lets newer validators refuse what they would refuse at the claim (protocol.md 6.4). */
  launchConfig(chuteId: string, jobId?: string, serverId?: string): Promise<LaunchGranted | LaunchRefused>;
  /** 404 counts as done. */
  deleteInstance(chuteId: string, instanceId: string): Promise<void>;
  /** Give a rental back; one that is gone counts as done. */
  deleteJob(jobId: string): Promise<void>;
  chute(chuteId: string, version: string): Promise<Chute | undefined>;
  /** Short refs the validator accepts (`GET /nodes/supported`). */
  supportedGpus(): Promise<ReadonlySet<string>>;
  advertiseNodes(
    server: { serverId: string; name: string },
    nodes: readonly NodeArgs[],
  ): Promise<{ taskId: string; seed: bigint | undefined }>;
  verificationStatus(taskId: string): Promise<VerificationStatus>;
  /** Own GPUs of a server that are verified, by device index. */
  provenGpus(serverId: string): Promise<readonly ProvenGpu[]>;
  /** A TEE server with its GPUs, `host` public; the validator attests it later (protocol.md 6.3). */
  advertiseServer(server: { serverId: string; name: string; host: string }, gpus: readonly NodeArgs[]): Promise<void>;
  /** Newer validators forget the whole server; on 404 each GPU is deleted by itself. */
  forgetServer(serverId: string, gpuIds: readonly string[]): Promise<void>;
}

// ---- events ---------------------------------------------------------------------------------------------------------

export interface EventBus {
  publish(event: MinerEvent): Promise<void>;
  /** Each event is handed to every subscriber once; a handler that rejects gets it again. Returns the way to stop. */
  subscribe(handler: (event: MinerEvent) => Promise<void>): () => Promise<void>;
}

/** One event as it came in. The id is made once, where it entered, and stays the same on every way to a handler. */
export interface JournalEntry {
  id: string;
  receivedAt: number;
  event: MinerEvent;
}

// ---- store ----------------------------------------------------------------------------------------------------------

export type LifecycleStep =
  | 'tokenAt'
  | 'secretAt'
  | 'committedAt'
  | 'runningAt'
  | 'claimedAt'
  | 'verifiedAt'
  | 'activatedAt'
  | 'instanceGoneAt'
  | 'undeployAt'
  | 'removedAt'
  | 'goneAt';

export interface StoredDecision {
  decisionId: string;
  decidedAt: number;
  decision: Decision;
  /** Commit on `live` that carries it; undefined while it is not committed. */
  commit: string | undefined;
}

export interface DecisionFilter {
  deploymentId?: string | undefined;
  chuteId?: string | undefined;
  server?: string | undefined;
  reason?: string | undefined;
}

/** One deployment as the validator's audit wants it (protocol.md 6.5); times in ms. */
export interface AuditRow {
  deploymentId: string;
  validator: string;
  chuteId: string;
  version: string;
  instanceId: string | undefined;
  createdAt: number;
  verifiedAt: number | undefined;
  deletedAt: number | undefined;
}

/** Who has a lease after it was asked for; the token grows with every change of holder. */
export interface LeaseTerm {
  held: boolean;
  holder: string;
  token: number;
}

/** The right to be the only one that writes. */
export interface Lease {
  /** Turns false before another process may write; asked right before each write. */
  held(): boolean;
  /** Since when (ms) it is held here, or by whom it is held else. */
  state(): { held: boolean; holder: string; since: number };
}

export interface Store {
  servers(): Promise<Server[]>;
  /** Insert with its GPUs; rejects with E-ALREADY-ADDED when the name or id is known. */
  addServer(server: Server): Promise<void>;
  updateServer(
    name: string,
    change: Partial<
      Pick<Server, 'locked' | 'seed' | 'verificationPort' | 'hourlyCost' | 'gpus' | 'cpuPerGpu' | 'memoryPerGpu'>
    > & { cordoned?: string | null | undefined },
  ): Promise<void>;
  markGpusVerified(gpuIds: readonly string[]): Promise<void>;
  /** Removes its GPUs and lifecycle rows too. */
  deleteServer(name: string): Promise<void>;

  /** Replace what is known of these chutes; others stay. */
  saveChutes(chutes: readonly Chute[]): Promise<void>;
  chutes(): Promise<Chute[]>;

  /** Rows that are not yet gone, and those that went after `since` (ms). */
  lifecycles(since?: number): Promise<DeploymentLifecycle[]>;
  /** Insert; a row that exists already is left as it is. */
  addLifecycle(rows: readonly DeploymentLifecycle[]): Promise<void>;
  /** Set one time of several rows; the first value stays. */
  mark(step: LifecycleStep, deploymentIds: readonly string[], at: number): Promise<void>;
  /** `config_id` is known before the pod can start; later events find the row by it. */
  setConfig(deploymentId: string, configId: string): Promise<void>;
  /** Sets `instance_id` and `claimedAt` (first value stays); false when no row has this config id. */
  linkInstance(configId: string, instanceId: string, at: number): Promise<boolean>;
  /** Mark by instance or config id; false when no row matches. */
  markInstance(
    step: 'verifiedAt' | 'activatedAt' | 'instanceGoneAt',
    key: { instanceId?: string | undefined; configId?: string | undefined },
    at: number,
  ): Promise<boolean>;

  saveDecisions(rows: readonly StoredDecision[]): Promise<void>;
  /** Newest first; all given parts of the filter must match. */
  decisions(limit: number, filter?: DecisionFilter): Promise<StoredDecision[]>;

  /** Insert; known ids are left as they are. */
  addEvents(entries: readonly JournalEntry[]): Promise<void>;
  /** The first time stays. */
  markEventsHandled(ids: readonly string[], at: number): Promise<void>;
  /** Of these types and received since then (ms), handled or not, oldest first. */
  recentEvents(types: readonly MinerEvent['type'][], since: number): Promise<JournalEntry[]>;
  /** Not handled and received before that time, oldest first. */
  unhandledEvents(receivedBefore: number, limit: number): Promise<JournalEntry[]>;
  /** Rows of the audit table that were alive at any time in `[from, to)`, ms, or are still alive. */
  auditRows(from: number, to: number): Promise<AuditRow[]>;
  /** Drop handled events, decisions, and lifecycles that are gone, older than that; the audit trail stays. Returns how many rows went. */
  prune(before: number): Promise<number>;
  /** Take or renew a lease for `ttlMs` of the database's time, unless somebody else holds it. */
  takeLease(name: string, holder: string, ttlMs: number): Promise<LeaseTerm>;
  /** Others may take it at once; nothing happens when somebody else holds it. */
  giveLease(name: string, holder: string): Promise<void>;
  /** Those that are not ended, by name. */
  verifications(): Promise<Verification[]>;
  /** Insert or replace. */
  saveVerification(verification: Verification): Promise<void>;
  /** Missing counts as done. */
  endVerification(name: string): Promise<void>;
  /** Rejects with E-STORE when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

// ---- git ------------------------------------------------------------------------------------------------------------

export interface MainTree {
  /** Commit id of branch `main`. */
  commit: string;
  config: MinerConfig;
  servers: ReadonlyMap<string, ServerConfig>;
  /** The owner's strategy, when there is one. */
  strategy?: StrategyFile | undefined;
}

/** A strategy as it was written; it runs nowhere but in a process of its own. */
export interface StrategyFile {
  path: string;
  text: string;
  /** Changes with the text: the id of the git blob. */
  id: string;
}

export interface LiveTree {
  commit: string;
  deployments: ReadonlyMap<string, DeploymentSpec>;
}

export interface LiveBatch {
  /** Decisions of this commit; deploys have their `configId` by now. */
  decisions: readonly Decision[];
  /** Commit of `main` it was rendered from. */
  configCommit: string;
  /** `live` commit the decisions were made on. */
  base: string;
}

/** `live` after a batch; `landed` tells which decisions are on it when it is not all of them, and `failure` why. */
export interface CommittedTree extends LiveTree {
  landed?: readonly Decision[] | undefined;
  /** The commit that brought a decision, where it is an earlier one than that of the tree: the batch landed in parts. */
  earlier?: ReadonlyMap<Decision, string> | undefined;
  failure?: unknown;
}

/** Files on `live` that follow from `main` alone. The same input gives the same bytes. */
export interface TreeRenderer {
  /** Top folders of `live` that belong to it, never `chutes`; what it does not render in them is removed. */
  readonly folders: readonly string[];
  /** Text by path, each below one of the folders. */
  render(main: MainTree): Promise<ReadonlyMap<string, string>>;
}

export interface Rerendered {
  /** Where `live` is. */
  commit: string;
  /** Paths that differ; empty when there was nothing to commit. */
  changed: readonly string[];
  /** Deployments whose file would be another one now and stays, because their Job would be replaced. */
  kept: number;
}

/** Of the git host that the cluster repository lives on; times in ms. */
export interface RemoteHealth {
  ok: boolean;
  since: number;
  /** When it answered last. */
  answeredAt: number | undefined;
  /** What is wrong, one sentence. */
  detail: string | undefined;
}

export interface ClusterRepo {
  /** Rejects with E-CONFIG naming file, line, field, what was found and what is allowed. */
  readMain(): Promise<MainTree>;
  /** Like `readMain`; while the newest commit is faulty, the one before it that is not. Rejects with E-CONFIG when there is none. */
  readLastGoodMain(): Promise<MainTree>;
  /** Commit `servers/<name>.yaml` on `main`; unchanged content makes no commit. */
  writeServer(server: ServerConfig): Promise<string>;
  /** Rejects with E-CONFIG while the policy names the server. */
  removeServer(name: string): Promise<string>;
  readLive(): Promise<LiveTree>;
  /**
   * Render, guard, commit and move `live` by compare-and-swap. Rejects with E-GUARD (nothing written; `detail` names each violation) or
   * E-GIT-CONFLICT (someone moved `live` since `base`: read it again and plan anew), with E-GIT-REPOSITORY when it cannot be written;
   * `detail.mayLand` says that it may be written nevertheless, later.
   */
  commitLive(batch: LiveBatch): Promise<CommittedTree>;
  /**
   * Make branch `proposed` what `live` would be with these decisions: one commit on top of `live`, which is not touched, or `live` itself
   * when nothing would change. What was proposed before is replaced. Resolves with its commit; rejects like `commitLive`.
   */
  propose(batch: LiveBatch): Promise<string>;
}

// ---- member clusters --------------------------------------------------------------------------------------------------

export interface MemberNode {
  uid: string;
  name: string;
  ready: boolean;
  /** `kubectl cordon`. */
  cordoned?: boolean | undefined;
  labels: Readonly<Record<string, string>>;
  cpus: number;
  memoryGiB: number;
  /** Capacity `nvidia.com/gpu`. */
  gpus: number;
  diskGb: number;
}

export interface Observation {
  pods: readonly ObservedPod[];
  health: ReadonlyMap<string, MemberHealth>;
}

/** All member clusters. A member is added with its kubeconfig (YAML or JSON text) and from then on watched. */
export interface Members {
  add(name: string, kubeconfig: string): Promise<void>;
  remove(name: string): Promise<void>;
  observe(): Observation;
  /** The kubeconfig each member was added with. Credentials: only the miner itself may see them. */
  kubeconfigs(): ReadonlyMap<string, string>;
  /** The node of each member as it was seen last; a member whose node was not seen yet is missing. */
  nodes(): ReadonlyMap<string, MemberNode>;
  /** Called after every change of a pod, a node or a member's health; coalesced. */
  onChange(listener: () => void): void;
  node(member: string): Promise<MemberNode>;
  labelNode(member: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** Secret `launch-<deployment id>` with key `token`; replaced if it exists. */
  writeLaunchSecret(member: string, deploymentId: string, token: string): Promise<void>;
  /** Missing counts as done. */
  deleteLaunchSecret(member: string, deploymentId: string): Promise<void>;
  /** Deployment ids that have a launch Secret on the member. */
  launchSecrets(member: string): Promise<string[]>;
  /** Create Job and Service of the GPU verification; waits until its pod is ready. Returns the node port that leads to it. */
  startBootstrap(member: string, request: BootstrapRequest, signal: AbortSignal): Promise<{ nodePort: number }>;
  stopBootstrap(member: string): Promise<void>;
  close(): Promise<void>;
}

// ---- controller, as Gepetto sees it ---------------------------------------------------------------------------------

/** `configId` is undefined for libraries that need no token. A member that cannot take the Secret answers with status -1. */
export type LaunchOutcome = { granted: true; configId: string | undefined } | LaunchRefused;

/** Gepetto has neither a key nor write access to clusters (design 3.8): what it sees of both, and what it asks for, goes through here. */
export interface ControllerLink {
  /** By validator hotkey. */
  feeds(): ReadonlyMap<string, Feeds>;
  observe(): Observation;
  /** Called after each change of either; coalesced. */
  onChange(listener: () => void): void;
  /** Token, row and Secret for each, in the given order; many at a time. */
  launch(specs: readonly DeploymentSpec[]): Promise<LaunchOutcome[]>;
  /** Take back the Secrets of launches that were not committed. */
  cancel(specs: readonly DeploymentSpec[]): Promise<void>;
  /** 404 counts as done. */
  deleteInstance(validator: string, chuteId: string, instanceId: string): Promise<void>;
  /** Give a rental back that was never active; one that is gone counts as done. */
  releaseJob(validator: string, jobId: string): Promise<void>;
  /** Undefined when the validator says that there is none; rejects when it does not say. */
  chute(validator: string, chuteId: string, version: string): Promise<Chute | undefined>;
  /** Fetch the feeds soon: an event said that something changed. */
  refreshFeeds(): void;
  /** With this commit folders of `live` have moved (`control`, `chutes/<server>`, …): Argo CD shall look at their Applications now. */
  refreshApplications(folders: readonly string[], commit: string): void;
  /** After each pass: for people, and for whoever plans without deciding. */
  report(report: PassReport): void;
}

export interface PassReport {
  /** Commit of `main` that the pass followed; undefined before the first one. */
  configCommit: string | undefined;
  /** What waits for a person, one sentence each. */
  held: readonly string[];
  /** What the policy kept from happening, one sentence for each rule. */
  blocked: readonly string[];
  /** What the planner remembers. */
  memory: unknown;
}

export interface BootstrapRequest {
  gpuCount: number;
  cpuPerGpu: number;
  memoryPerGpu: number;
  image: string;
  validatorHotkey: string;
  minerHotkey: string;
  nodePort: number;
  timeoutSeconds: number;
}
