// Builders for planner tests: a small world with everything in order, of which a test changes what it is about.

import { createHash } from 'node:crypto';
import type { Chute } from '../domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '../domain/deployment.ts';
import { plainChute } from '../domain/fixtures.ts';
import { lifecycleOf } from '../domain/lifecycle.ts';
import { type Policy, policyConfig } from '../domain/policy.ts';
import type { Feeds, RemoteInstance, Utilization } from '../domain/ports.ts';
import { seededRandom, uuidFrom } from '../domain/random.ts';
import type { Gpu, Server } from '../domain/server.ts';
import type { World } from './world.ts';

export const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
export const miner = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
/** A round "now" for tests, ms. */
export const now = 1_760_000_000_000;
export const minute = 60_000;

/** A stable UUID for a short name. */
export function id(name: string): string {
  const seed = createHash('sha256').update(name).digest().readUInt32BE();
  return uuidFrom(seededRandom(seed));
}

export function chute(name: string, change: Partial<Chute> = {}): Chute {
  return plainChute({
    chuteId: id(name),
    validator,
    name,
    image: `user/${name.toLowerCase()}:1`,
    supportedGpus: ['h100'],
    ...change,
  });
}

export function server(name: string, change: Partial<Server> & { model?: string; count?: number } = {}): Server {
  const { model = 'h100', count = 8, ...fields } = change;
  const gpus: Gpu[] = Array.from({ length: count }, (_, i) => ({
    gpuId: createHash('md5').update(`${name}/${i}`).digest('hex'),
    model,
    verified: true,
    deviceInfo: { uuid: '', name: model, memory: 80e9, clock_rate: 1_500_000 },
  }));
  return {
    serverId: id(`server ${name}`),
    name,
    validator,
    ip: '203.0.113.1',
    agentApi: undefined,
    gpuShortRef: model,
    gpus,
    cpuPerGpu: 4,
    memoryPerGpu: 64,
    diskGb: 1000,
    hourlyCost: 2,
    locked: false,
    tee: false,
    seed: undefined,
    verificationPort: undefined,
    createdAt: 0,
    ...fields,
  };
}

export const servers = {
  A: server('a', { model: 'a6000', count: 4, hourlyCost: 0.5 }),
  B: server('b', { hourlyCost: 2 }),
  C: server('c', { hourlyCost: 2.4 }),
  D: server('d', { hourlyCost: 1, locked: true }),
  E: server('e', { hourlyCost: 1, tee: true }),
} as const;

/** `count` GPUs of the server from place `from` on, with the two node ports that go with them. */
export function spec(of: Chute, on: Server, from = 0, change: Partial<DeploymentSpec> = {}): DeploymentSpec {
  const deploymentId = change.deploymentId ?? id(`${of.name} on ${on.name} at ${from}`);
  return {
    deploymentId,
    chuteId: of.chuteId,
    chuteName: of.name,
    version: of.version,
    validator: of.validator,
    server: on.name,
    gpuIds: on.gpus
      .slice(from, from + of.gpuCount)
      .map((gpu) => gpu.gpuId)
      .sort(),
    ports: [
      { port: 8000, proto: 'TCP', nodePort: 31000 + 2 * from },
      { port: 8001, proto: 'TCP', nodePort: 31001 + 2 * from },
    ],
    configId: id(`config of ${deploymentId}`),
    jobId: undefined,
    diskGb: 10,
    preemptible: true,
    decisionId: id(`decision of ${deploymentId}`),
    reason: 'scale-up',
    ...change,
  };
}

/** Active for an hour, claimed and verified, unless changed. */
export function row(of: DeploymentSpec, change: Partial<DeploymentLifecycle> = {}): DeploymentLifecycle {
  const at = now - 60 * minute;
  return {
    ...lifecycleOf(of, at - 5 * minute),
    instanceId: id(`instance of ${of.deploymentId}`),
    tokenAt: at - 5 * minute,
    secretAt: at - 5 * minute,
    committedAt: at - 5 * minute,
    runningAt: at - 4 * minute,
    claimedAt: at - 3 * minute,
    verifiedAt: at - 2 * minute,
    activatedAt: at,
    ...change,
  };
}

export function pod(of: DeploymentSpec, change: Partial<ObservedPod> = {}): ObservedPod {
  return {
    server: of.server,
    podName: `chute-${of.deploymentId}-abcde`,
    deploymentId: of.deploymentId,
    configId: of.configId,
    gpuIds: of.gpuIds,
    nodePorts: of.ports.map((mapping) => mapping.nodePort),
    phase: 'Running',
    ready: true,
    terminating: false,
    detail: undefined,
    createdAt: now - 60 * minute,
    ...change,
  };
}

export function instance(of: DeploymentLifecycle, change: Partial<RemoteInstance> = {}): RemoteInstance {
  return {
    instanceId: of.instanceId ?? id(`instance of ${of.deploymentId}`),
    chuteId: of.chuteId,
    version: of.version,
    configId: of.configId,
    active: of.activatedAt !== undefined,
    verifiedAt: of.verifiedAt,
    activatedAt: of.activatedAt,
    computeMultiplier: 1,
    ...change,
  };
}

export interface WorldParts {
  chutes?: readonly Chute[];
  servers?: readonly Server[];
  running?: readonly DeploymentSpec[];
  rows?: readonly DeploymentLifecycle[];
  pods?: readonly ObservedPod[];
  instances?: readonly RemoteInstance[];
  utilization?: readonly Utilization[];
  fetchedAt?: number;
  syncedAt?: number;
}

/** Running deployments come with a row, a pod and an instance each, unless those are given. */
export function world(parts: WorldParts, change: Partial<World> = {}): World {
  const running = parts.running ?? [];
  const rows = parts.rows ?? running.map((one) => row(one));
  const on = parts.servers ?? [servers.B];
  const fetchedAt = parts.fetchedAt ?? now;
  const chutes = new Map((parts.chutes ?? []).map((one) => [one.chuteId, one]));
  const instances = parts.instances ?? rows.filter((one) => one.instanceId).map((one) => instance(one));
  const feeds: Feeds = {
    chutes: { fetchedAt, items: chutes },
    instances: { fetchedAt, items: new Map(instances.map((one) => [one.instanceId, one])) },
    globalInstances: { fetchedAt: undefined, items: new Map() },
    utilization: { fetchedAt, items: new Map((parts.utilization ?? []).map((one) => [one.chuteId, one])) },
    rollingUpdates: { fetchedAt, items: new Map() },
    nodes: { fetchedAt, items: new Map() },
    cooldowns: { fetchedAt, items: new Map() },
  };
  return {
    hotkey: miner,
    chutes,
    feeds: new Map([[validator, feeds]]),
    servers: on,
    configuredServers: new Set(on.map((one) => one.name)),
    desired: new Map(running.map((one) => [one.deploymentId, one])),
    lifecycles: new Map(rows.map((one) => [one.deploymentId, one])),
    pods: parts.pods ?? running.map((one) => pod(one)),
    health: new Map(on.map((one) => [one.name, { state: 'healthy', since: 0, syncedAt: parts.syncedAt ?? now }])),
    goneChutes: new Set(),
    rollingInstances: new Set(),
    undeployRequests: new Set(),
    ...change,
  };
}

export function policy(change: Partial<Policy> = {}): Policy {
  return { ...policyConfig.parse({}), ...change };
}

export function utilization(of: Chute, change: Partial<Utilization> = {}): Utilization {
  return {
    chuteId: of.chuteId,
    scalable: true,
    updateInProgress: false,
    targetCount: undefined,
    activeInstanceCount: undefined,
    ...change,
  };
}
