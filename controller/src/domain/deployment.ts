// A deployment: one instance of a chute on one server. What it should be (spec) is in git, what happened to it (lifecycle) in the
// store, what runs (observed pod) in the member cluster. The deployment id joins the three.

/** The reasons a deployment is made for; written into the commit and onto the objects. */
export type DeployReason = 'scale-up' | 'bounty' | 'rolling-update' | 'job';

/** The reasons one is removed for. */
export type RemoveReason =
  | 'instance-deleted'
  | 'chute-deleted'
  | 'rolling-update'
  | 'preempted'
  | 'pod-failed'
  | 'pod-lost'
  | 'launch-stuck'
  | 'server-deleted'
  | 'operator'
  /** A person took it out of `live`. */
  | 'reverted';

export interface PortMapping {
  /** Port inside the pod. */
  port: number;
  proto: 'TCP' | 'UDP';
  nodePort: number;
}

/** Desired state: all that a rendered manifest is made from, and all that can be read back from it. Never changes for an id. */
export interface DeploymentSpec {
  deploymentId: string;
  chuteId: string;
  chuteName: string;
  version: string;
  validator: string;
  server: string;
  /** Sorted 32-hex ids; exactly `gpuCount` of the chute. */
  gpuIds: readonly string[];
  /** First 8000, then 8001, then 8002 for attestation, then the job's ports. */
  ports: readonly PortMapping[];
  /** Launch config the validator gave for it; absent for libraries that announce instead. */
  configId: string | undefined;
  jobId: string | undefined;
  /** GB of scratch disk. */
  diskGb: number;
  preemptible: boolean;
  /** Decision that made it. */
  decisionId: string;
  reason: DeployReason;
}

/** What the store remembers; times in ms since the Unix epoch, undefined until it happened. */
export interface DeploymentLifecycle {
  deploymentId: string;
  chuteId: string;
  version: string;
  validator: string;
  server: string;
  configId: string | undefined;
  instanceId: string | undefined;
  jobId: string | undefined;
  /** Held until `goneAt`, also after the manifest left git. */
  gpuIds: readonly string[];
  nodePorts: readonly number[];
  plannedAt: number;
  tokenAt: number | undefined;
  secretAt: number | undefined;
  committedAt: number | undefined;
  runningAt: number | undefined;
  claimedAt: number | undefined;
  verifiedAt: number | undefined;
  activatedAt: number | undefined;
  /** When the validator said that the instance is gone. */
  instanceGoneAt: number | undefined;
  /** When a person asked for its removal. */
  undeployAt: number | undefined;
  /** When the manifest was removed from git. */
  removedAt: number | undefined;
  /** When the last pod was gone. */
  goneAt: number | undefined;
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

/** A chute pod as the member cluster reports it. */
export interface ObservedPod {
  server: string;
  podName: string;
  deploymentId: string;
  configId: string | undefined;
  /** From the pod's own environment, so that a GPU stays taken even if git and the store forgot the deployment. */
  gpuIds: readonly string[];
  nodePorts: readonly number[];
  phase: PodPhase;
  ready: boolean;
  terminating: boolean;
  /** Why a container waits or ended, for example `ImagePullBackOff`. */
  detail: string | undefined;
  createdAt: number;
}

/** Health of a member cluster's watch. Only a `healthy` member is planned for, and only its silence means absence. */
export interface MemberHealth {
  state: 'healthy' | 'unhealthy' | 'unknown';
  /** Since when, ms. */
  since: number;
  /** Time of the newest complete list, ms. */
  syncedAt: number | undefined;
  /** Why its node takes no new pods, in words; undefined when it does. */
  closed?: string | undefined;
}
