// One miner, one server and one chute, to be varied by tests.

import type { Chute } from '@miner/controller/domain/chute.ts';
import { type MinerConfig, minerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { plainChute } from '@miner/controller/domain/fixtures.ts';
import { mapPorts, podPorts } from '@miner/controller/domain/nodeport.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { renderChute } from './charts/chute.ts';

const miner = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
export const gpuIds = ['0123456789abcdef0123456789abcdef', '8f6e3c1d00aa4b5c9d7e112233445566'];

export const config: MinerConfig = minerConfig.parse({
  hotkey: miner,
  validators: [
    { hotkey: validator, registry: 'registry.chutes.ai', api: 'https://api.chutes.ai', socket: 'wss://ws.chutes.ai' },
  ],
});

export const server: Server = {
  serverId: 'c6a5f0d8-8a44-4c29-b8b5-0c6a1d1a2f11',
  name: 'gpu-07',
  validator,
  ip: '203.0.113.7',
  agentApi: 'http://203.0.113.7:32000',
  gpuShortRef: 'h100_sxm',
  gpus: gpuIds.map((gpuId) => ({
    gpuId,
    model: 'h100_sxm',
    verified: true,
    deviceInfo: { uuid: gpuId, name: 'NVIDIA H100 80GB HBM3', memory: 85_899_345_920, clock_rate: 1_980_000 },
  })),
  cpuPerGpu: 4,
  memoryPerGpu: 80,
  diskGb: 1000,
  hourlyCost: 1.8,
  locked: false,
  tee: false,
  seed: 9_223_372_036_854_775_807n,
  verificationPort: 31_000,
  createdAt: 0,
};

export const chute = plainChute({
  chuteId: '4a1e1a50-7a5e-5b0c-9a43-1f0f3a9c5d01',
  validator,
  name: 'llama-3-70b',
  version: '9d2f6c1e-3f0e-5a53-8f0e-5f3f1f2b7c10',
  image: 'alice/vllm:1.2.3-p4',
  refStr: 'llama:chute',
  filename: 'llama.py',
  chutesVersion: '0.4.2',
  gpuCount: 2,
});

export interface Case {
  chute?: Partial<Chute>;
  server?: Partial<Server>;
  config?: Partial<MinerConfig>;
  spec?: Partial<DeploymentSpec>;
  explanation?: string;
}

/** A spec that fits the chute: ports and config id follow from its version, job ports from the job id. */
export function specFor(of: Chute, change: Partial<DeploymentSpec> = {}): DeploymentSpec {
  const ports = podPorts(of, change.jobId !== undefined);
  return {
    deploymentId: '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed',
    chuteId: of.chuteId,
    chuteName: of.name,
    version: of.version,
    validator: of.validator,
    server: server.name,
    gpuIds: gpuIds.slice(0, of.gpuCount),
    ports: mapPorts(
      ports,
      ports.map((_port, i) => 30_000 + i),
    ),
    configId: needsLaunchToken(of) ? 'e4eaaaf2-d142-51b8-b0d4-1d3a5f5e0c77' : undefined,
    jobId: undefined,
    diskGb: 10,
    preemptible: true,
    decisionId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    reason: 'scale-up',
    ...change,
  };
}

export function render(change: Case = {}): string {
  const ofChute = { ...chute, ...change.chute };
  return renderChute(specFor(ofChute, change.spec), {
    config: { ...config, ...change.config },
    server: { ...server, ...change.server },
    chute: ofChute,
    ...(change.explanation && { explanation: change.explanation }),
  });
}
