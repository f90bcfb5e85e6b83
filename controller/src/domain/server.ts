// A GPU server: one single-node member cluster. Its name is also the node name, the kubeconfig context and the folder in git.

/** As the GraVal bootstrap or the attestation service reports it; `clockRate` in kHz, `memory` in bytes. */
export interface DeviceInfo {
  uuid: string;
  name: string;
  memory: number;
  clock_rate: number;
  major?: number | undefined;
  minor?: number | undefined;
  processors?: number | undefined;
  sxm?: boolean | undefined;
  max_threads_per_processor?: number | undefined;
  concurrent_kernels?: boolean | undefined;
  ecc?: boolean | undefined;
}

export interface Gpu {
  /** 32 hex digits. */
  gpuId: string;
  /** Short ref of the validator's GPU table, for example `h100_sxm`. */
  model: string;
  verified: boolean;
  deviceInfo: DeviceInfo;
}

export interface Server {
  /** UID of the Kubernetes node. */
  serverId: string;
  name: string;
  /** Hotkey (ss58) of the validator it works for. */
  validator: string;
  /** Public IPv4 address or host name, from node label `chutes/external-ip`. */
  ip: string;
  agentApi: string | undefined;
  gpuShortRef: string;
  gpus: readonly Gpu[];
  cpuPerGpu: number;
  /** GiB of RAM for each GPU. */
  memoryPerGpu: number;
  /** GB of ephemeral storage of the node. */
  diskGb: number;
  /** USD per GPU and hour, given by the operator. */
  hourlyCost: number;
  locked: boolean;
  tee: boolean;
  /** Why nothing may be placed on it until its GPUs were verified again, one sentence. */
  cordoned?: string | undefined;
  /** GraVal seed from the validator, up to 2^63-1. */
  seed: bigint | undefined;
  /** Node port at which the validator reaches the GraVal bootstrap. */
  verificationPort: number | undefined;
  createdAt: number;
}
