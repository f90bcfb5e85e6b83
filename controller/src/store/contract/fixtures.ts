// Rows for the tests of the store.

import type { Chute } from '../../domain/chute.ts';
import type { DeployDecision, RemoveDecision } from '../../domain/decision.ts';
import type { DeploymentLifecycle, DeploymentSpec } from '../../domain/deployment.ts';
import { lifecycleOf } from '../../domain/lifecycle.ts';
import type { JournalEntry, StoredDecision } from '../../domain/ports.ts';
import type { Gpu, Server } from '../../domain/server.ts';

export const epoch = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
export const hotkey = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';

/** The nth uuid. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** The nth GPU id. */
export function gpuId(n: number): string {
  return n.toString(16).padStart(32, '0');
}

export function makeGpu(n: number, change: Partial<Gpu> = {}): Gpu {
  return {
    gpuId: gpuId(n),
    model: 'h100_sxm',
    verified: false,
    deviceInfo: {
      uuid: gpuId(n),
      name: 'NVIDIA H100 80GB HBM3',
      memory: 85_024_636_928,
      clock_rate: 1_980_000,
      sxm: true,
    },
    ...change,
  };
}

/** Its id, GPUs and ports follow from `n`. */
export function makeServer(n: number, change: Partial<Server> = {}): Server {
  return {
    serverId: uuid(n),
    name: `gpu-${n}`,
    validator: hotkey,
    ip: `192.0.2.${n}`,
    agentApi: `http://192.0.2.${n}:32000`,
    gpuShortRef: 'h100_sxm',
    gpus: [makeGpu(8 * n + 1), makeGpu(8 * n)],
    cpuPerGpu: 4,
    memoryPerGpu: 80,
    diskGb: 1800,
    hourlyCost: 1.35,
    locked: false,
    tee: false,
    seed: 9_223_372_036_854_775_807n,
    verificationPort: 30_501,
    createdAt: epoch,
    ...change,
  };
}

export function makeChute(n: number, change: Partial<Chute> = {}): Chute {
  return {
    chuteId: uuid(n),
    validator: hotkey,
    name: `llama-${n}`,
    version: uuid(n + 1000),
    image: 'chutes/vllm:0.9.1',
    refStr: 'app:chute',
    filename: 'app.py',
    code: 'print("{\\"}, NULL")\n',
    chutesVersion: '0.3.61',
    supportedGpus: ['a100', 'h100_sxm'],
    gpuCount: 2,
    tee: false,
    preemptible: true,
    disabled: false,
    jobOnly: false,
    jobPorts: [{ port: 2202, proto: 'TCP' }],
    effectiveComputeMultiplier: 1.5,
    bounty: 0,
    ...change,
  };
}

/** A lifecycle just planned, on server `gpu-1`. */
export function makeLifecycle(n: number, change: Partial<DeploymentLifecycle> = {}): DeploymentLifecycle {
  return { ...lifecycleOf(makeSpec(n), epoch + n), nodePorts: [30_000, 30_001], ...change };
}

export function makeSpec(n: number, change: Partial<DeploymentSpec> = {}): DeploymentSpec {
  return {
    deploymentId: uuid(n),
    chuteId: uuid(5000),
    chuteName: 'llama-1',
    version: uuid(6000),
    validator: hotkey,
    server: 'gpu-1',
    gpuIds: [gpuId(n)],
    ports: [{ port: 8000, proto: 'TCP', nodePort: 30_000 }],
    configId: undefined,
    jobId: undefined,
    diskGb: 10,
    preemptible: true,
    decisionId: uuid(7000 + n),
    reason: 'scale-up',
    ...change,
  };
}

export function makeDeploy(n: number, change: Partial<DeployDecision> = {}): DeployDecision {
  return {
    kind: 'deploy',
    decisionId: uuid(7000 + n),
    spec: makeSpec(n),
    numbers: { value: 12.25, multiplier: 1e21, a: 0.1, cost: -0.5 },
    alternatives: [{ chuteName: 'qwen', server: 'gpu-2', value: 3, because: 'worth less' }],
    replicasBefore: 1,
    ...change,
  };
}

export function makeRemove(n: number): RemoveDecision {
  return {
    kind: 'remove',
    decisionId: uuid(7000 + n),
    spec: makeSpec(n, { configId: uuid(n + 1), jobId: uuid(n + 2) }),
    reason: 'preempted',
    because: 'a bounty of 500 on "qwen" is worth more',
  };
}

export function makeStored(n: number, change: Partial<StoredDecision> = {}): StoredDecision {
  const decision = makeDeploy(n);
  return { decisionId: decision.decisionId, decidedAt: epoch + n, decision, commit: undefined, ...change };
}

/** The nth event, received at `epoch + n`. */
export function makeEntry(n: number, change: Partial<JournalEntry> = {}): JournalEntry {
  const data = { chute_id: uuid(n), bounty: 500 };
  return {
    id: uuid(8000 + n),
    receivedAt: epoch + n,
    event: { type: 'bounty_change', validator: hotkey, data },
    ...change,
  };
}
