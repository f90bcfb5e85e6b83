// Deployments and their files for the tests of this folder: a plain rendering of what kubernetes.md 3.1 and 3.2 ask for.

import { stringify } from 'yaml';
import type { Chute } from '../../domain/chute.ts';
import { type MinerConfig, minerConfig } from '../../domain/config.ts';
import type { DeployDecision, RemoveDecision } from '../../domain/decision.ts';
import type { DeploymentSpec } from '../../domain/deployment.ts';
import { plainChute } from '../../domain/fixtures.ts';
import { gpuEnvId } from '../../domain/ids.ts';
import type { Server } from '../../domain/server.ts';

export const validator = '5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ';
export const miner = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';

export const config: MinerConfig = minerConfig.parse({
  hotkey: miner,
  validators: [
    { hotkey: validator, registry: 'registry.chutes.ai', api: 'https://api.chutes.ai', socket: 'wss://ws.chutes.ai' },
  ],
});

/** A UUID made of a number. */
export function uuidOf(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

export function gpuIdOf(server: number, gpu: number): string {
  return `${server.toString(16).padStart(28, '0')}${gpu.toString(16).padStart(4, '0')}`;
}

export function serverName(n: number): string {
  return `gpu-${String(n).padStart(4, '0')}`;
}

export function makeServer(n: number, gpus = 8): Server {
  const device = { uuid: '', name: 'NVIDIA H100 80GB HBM3', memory: 85_899_345_920, clock_rate: 1_980_000 };
  return {
    serverId: uuidOf(1_000_000 + n),
    name: serverName(n),
    validator,
    ip: '203.0.113.7',
    agentApi: undefined,
    gpuShortRef: 'h100_sxm',
    gpus: Array.from({ length: gpus }, (_, gpu) => ({
      gpuId: gpuIdOf(n, gpu),
      model: 'h100_sxm',
      verified: true,
      deviceInfo: { ...device, uuid: gpuIdOf(n, gpu) },
    })),
    cpuPerGpu: 4,
    memoryPerGpu: 80,
    diskGb: 1000,
    hourlyCost: 1.5,
    locked: false,
    tee: false,
    seed: 42n,
    verificationPort: undefined,
    createdAt: 0,
  };
}

export function makeChute(n: number, gpuCount = 1): Chute {
  return plainChute({
    chuteId: uuidOf(2_000_000 + n),
    validator,
    name: `chute-${n}`,
    version: uuidOf(3_000_000 + n),
    image: `user/app-${n}:1`,
    chutesVersion: '0.3.61',
    gpuCount,
  });
}

export interface Place {
  id: number;
  server: number;
  chute: Chute;
  /** Numbers of the GPUs on the server. */
  gpus: readonly number[];
  /** Node port of 8000; 8001 gets the next. */
  nodePort: number;
}

export function makeSpec({ id, server, chute, gpus, nodePort }: Place): DeploymentSpec {
  return {
    deploymentId: uuidOf(id),
    chuteId: chute.chuteId,
    chuteName: chute.name,
    version: chute.version,
    validator,
    server: serverName(server),
    gpuIds: gpus.map((gpu) => gpuIdOf(server, gpu)),
    ports: [
      { port: 8000, proto: 'TCP', nodePort },
      { port: 8001, proto: 'TCP', nodePort: nodePort + 1 },
    ],
    configId: uuidOf(4_000_000 + id),
    jobId: undefined,
    diskGb: 10,
    preemptible: true,
    decisionId: uuidOf(5_000_000 + id),
    reason: 'scale-up',
  };
}

export interface RenderContext {
  config: MinerConfig;
  server: Server;
  chute: Chute;
}

/** The objects of a deployment as plain data: Service, then Job. */
export function objectsOf(spec: DeploymentSpec, context: RenderContext) {
  const { server, chute } = context;
  const labels = {
    'chutes/deployment-id': spec.deploymentId,
    'chutes/chute': 'true',
    'chutes/chute-id': spec.chuteId,
    'chutes/version': spec.version,
  };
  const jobLabels = {
    ...labels,
    ...(spec.configId && { 'chutes/config-id': spec.configId }),
    ...(spec.jobId && { 'chutes/job-id': spec.jobId }),
  };
  const annotations = {
    'chutes-miner.io/decision-id': spec.decisionId,
    'chutes-miner.io/reason': spec.reason,
    'chutes-miner.io/chute-name': spec.chuteName,
    'chutes-miner.io/gpu-ids': spec.gpuIds.join(','),
    'chutes-miner.io/validator': spec.validator,
    'chutes-miner.io/server': spec.server,
    'chutes-miner.io/disk-gb': String(spec.diskGb),
    'chutes-miner.io/preemptible': String(spec.preemptible),
  };
  const nodePortOf = (port: number) => String(spec.ports.find((mapping) => mapping.port === port)?.nodePort);
  const env: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }[] = [
    { name: 'NVIDIA_VISIBLE_DEVICES', value: spec.gpuIds.map(gpuEnvId).join(',') },
    { name: 'CHUTES_PORT_PRIMARY', value: nodePortOf(8000) },
    { name: 'CHUTES_PORT_LOGGING', value: nodePortOf(8001) },
    { name: 'CHUTES_LAUNCH_JWT', valueFrom: { secretKeyRef: { name: `launch-${spec.deploymentId}`, key: 'token' } } },
  ];
  const registry = `${spec.validator.toLowerCase()}.localregistry.chutes.ai:${context.config.registry.port}`;
  const limits = {
    cpu: String(server.cpuPerGpu * spec.gpuIds.length),
    memory: `${server.memoryPerGpu * spec.gpuIds.length}Gi`,
    'ephemeral-storage': `${spec.diskGb}Gi`,
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `chute-service-${spec.deploymentId}`, namespace: 'chutes', labels, annotations },
    spec: {
      type: 'NodePort',
      selector: { 'chutes/deployment-id': spec.deploymentId },
      ports: spec.ports.map(({ port, proto, nodePort }) => ({
        name: `chute-${port}`,
        port,
        nodePort,
        protocol: proto,
      })),
    },
  };
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: `chute-${spec.deploymentId}`, namespace: 'chutes', labels: jobLabels, annotations },
    spec: {
      template: {
        metadata: { labels: jobLabels, annotations },
        spec: {
          nodeName: spec.server,
          initContainers: [{ name: 'cache-init', image: context.config.images.cacheCleaner }],
          containers: [{ name: 'chute', image: `${registry}/${chute.image}`, env, resources: { limits } }],
        },
      },
    },
  };
  return { service, job };
}

export function render(spec: DeploymentSpec, context: RenderContext): string {
  const { service, job } = objectsOf(spec, context);
  const form = { aliasDuplicateObjects: false, lineWidth: 0 };
  return `${stringify(service, form)}---\n${stringify(job, form)}`;
}

export function deploy(spec: DeploymentSpec): DeployDecision {
  return {
    kind: 'deploy',
    decisionId: spec.decisionId,
    spec,
    numbers: { value: 1.25, bounty: 100 },
    alternatives: [],
    replicasBefore: 0,
  };
}

export function remove(spec: DeploymentSpec): RemoveDecision {
  return {
    kind: 'remove',
    decisionId: uuidOf(6_000_000 + Number.parseInt(spec.deploymentId.slice(-12), 16)),
    spec,
    reason: 'instance-deleted',
    because: 'the validator deleted the instance',
  };
}
