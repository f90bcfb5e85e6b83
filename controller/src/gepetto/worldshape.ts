// The shape of a world file: what the planner reads of a world, field by field. Unknown fields are mistakes.

import { z } from 'zod';
import type { Chute } from '../domain/chute.ts';
import { policyConfig } from '../domain/policy.ts';
import type { Server } from '../domain/server.ts';

const time = z.number();
const count = z.int().min(0);

function mapOf<T extends z.ZodType>(value: T) {
  return z.record(z.string(), value).transform((items) => new Map<string, z.output<T>>(Object.entries(items)));
}

function setOf() {
  return z.array(z.string()).transform((items) => new Set(items));
}

function feedOf<T extends z.ZodType>(item: T) {
  return z.strictObject({ fetchedAt: time.optional(), items: mapOf(item) }).prefault({ items: {} });
}

export const chute = z.strictObject({
  chuteId: z.string(),
  validator: z.string(),
  name: z.string(),
  version: z.string(),
  image: z.string(),
  chutesVersion: z.string().optional(),
  supportedGpus: z.array(z.string()),
  gpuCount: z.int().min(1).max(8),
  tee: z.boolean(),
  preemptible: z.boolean(),
  disabled: z.boolean(),
  jobOnly: z.boolean(),
  jobPorts: z.array(z.strictObject({ port: z.int(), proto: z.enum(['TCP', 'UDP']) })),
  effectiveComputeMultiplier: z.number(),
  bounty: z.number(),
});
/** What is left out has no part in a plan. */
const filledChute = chute.transform(
  (one): Chute => ({
    ...one,
    chutesVersion: one.chutesVersion,
    refStr: 'chute:chute',
    filename: 'chute.py',
    code: undefined,
  }),
);

export const server = z.strictObject({
  name: z.string(),
  validator: z.string(),
  gpuShortRef: z.string(),
  gpus: z.array(z.strictObject({ gpuId: z.string(), model: z.string(), verified: z.boolean() })),
  diskGb: z.number(),
  hourlyCost: z.number().min(0),
  locked: z.boolean(),
  tee: z.boolean(),
  cordoned: z.string().optional(),
  verificationPort: z.int().optional(),
});
const filledServer = server.transform(
  (one): Server => ({
    ...one,
    verificationPort: one.verificationPort,
    cordoned: one.cordoned,
    gpus: one.gpus.map((gpu) => ({
      ...gpu,
      deviceInfo: { uuid: gpu.gpuId, name: gpu.model, memory: 0, clock_rate: 0 },
    })),
    serverId: one.name,
    ip: '',
    agentApi: undefined,
    cpuPerGpu: 1,
    memoryPerGpu: 1,
    seed: undefined,
    createdAt: 0,
  }),
);

const spec = z.strictObject({
  deploymentId: z.string(),
  chuteId: z.string(),
  chuteName: z.string(),
  version: z.string(),
  validator: z.string(),
  server: z.string(),
  gpuIds: z.array(z.string()),
  ports: z.array(z.strictObject({ port: z.int(), proto: z.enum(['TCP', 'UDP']), nodePort: z.int() })),
  configId: z.string().optional(),
  jobId: z.string().optional(),
  diskGb: z.number(),
  preemptible: z.boolean(),
  decisionId: z.string(),
  reason: z.enum(['scale-up', 'bounty', 'rolling-update', 'job']),
});

const steps = [
  'tokenAt',
  'secretAt',
  'committedAt',
  'runningAt',
  'claimedAt',
  'verifiedAt',
  'activatedAt',
  'instanceGoneAt',
  'undeployAt',
  'removedAt',
  'goneAt',
] as const;
const lifecycle = z.strictObject({
  deploymentId: z.string(),
  chuteId: z.string(),
  version: z.string(),
  validator: z.string(),
  server: z.string(),
  configId: z.string().optional(),
  instanceId: z.string().optional(),
  jobId: z.string().optional(),
  gpuIds: z.array(z.string()),
  nodePorts: z.array(z.int()),
  plannedAt: time,
  ...(Object.fromEntries(steps.map((step) => [step, time.optional()])) as Record<
    (typeof steps)[number],
    z.ZodOptional<z.ZodNumber>
  >),
});

const pod = z.strictObject({
  server: z.string(),
  podName: z.string(),
  deploymentId: z.string(),
  configId: z.string().optional(),
  gpuIds: z.array(z.string()),
  nodePorts: z.array(z.int()),
  phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']),
  ready: z.boolean(),
  terminating: z.boolean(),
  detail: z.string().optional(),
  createdAt: time,
});

const feeds = z.strictObject({
  chutes: feedOf(filledChute),
  instances: feedOf(
    z.strictObject({
      instanceId: z.string(),
      chuteId: z.string(),
      version: z.string(),
      configId: z.string().optional(),
      active: z.boolean(),
      verifiedAt: time.optional(),
      activatedAt: time.optional(),
      computeMultiplier: z.number().optional(),
    }),
  ),
  globalInstances: feedOf(
    z.strictObject({ instanceId: z.string(), chuteId: z.string(), computeMultiplier: z.number() }),
  ),
  utilization: feedOf(
    z.strictObject({
      chuteId: z.string(),
      scalable: z.boolean(),
      updateInProgress: z.boolean(),
      targetCount: z.number().optional(),
      activeInstanceCount: z.number().optional(),
    }),
  ),
  rollingUpdates: feedOf(z.strictObject({ chuteId: z.string(), oldVersion: z.string(), newVersion: z.string() })),
  nodes: feedOf(z.string()),
  cooldowns: feedOf(time),
});

const world = z.strictObject({
  hotkey: z.string(),
  chutes: mapOf(filledChute),
  feeds: mapOf(feeds),
  servers: z.array(filledServer),
  configuredServers: setOf(),
  desired: mapOf(spec),
  lifecycles: mapOf(lifecycle),
  pods: z.array(pod),
  health: mapOf(
    z.strictObject({
      state: z.enum(['healthy', 'unhealthy', 'unknown']),
      since: time,
      syncedAt: time.optional(),
      closed: z.string().optional(),
    }),
  ),
  goneChutes: setOf(),
  rollingInstances: setOf(),
  undeployRequests: setOf(),
  jobs: mapOf(
    z.strictObject({
      jobId: z.string(),
      chuteId: z.string(),
      gpuCount: z.int().min(1).max(8),
      computeMultiplier: z.number(),
      diskGb: z.number(),
      excluded: z.array(z.string()),
      attempted: z.boolean(),
    }),
  ).optional(),
  cooldowns: mapOf(time).optional(),
  market: mapOf(
    z.strictObject({
      runMultiplier: z.number().optional(),
      urgency: z.number().optional(),
      bountyOpenedAt: time.optional(),
      activeTotal: count.optional(),
      modelKey: z.string().optional(),
      modelGb: z.number().optional(),
      imageGb: z.number().optional(),
      warmupMs: z.number().optional(),
    }),
  ).optional(),
  sites: mapOf(
    z.strictObject({
      leavingAt: time.optional(),
      netMbps: z.number().optional(),
      diskReadGbps: z.number().optional(),
      models: setOf().optional(),
      images: setOf().optional(),
    }),
  ).optional(),
  firstMultipliers: mapOf(z.number()).optional(),
});

const backoff = z.strictObject({ until: time, failures: count, because: z.string() });
const factors = mapOf(z.number());
const memory = z.strictObject({
  refusals: mapOf(backoff),
  failures: mapOf(backoff),
  missing: mapOf(z.strictObject({ firstSeenAt: time, snapshotAt: time })),
  advice: z
    .strictObject({
      strategy: z.string(),
      offers: mapOf(
        z.strictObject({
          score: factors,
          place: factors,
          bestPlace: z.number(),
          veto: mapOf(z.literal(true)),
          closed: mapOf(z.literal(true)),
        }),
      ),
      deployments: mapOf(z.union([z.number(), z.literal('keep')])),
    })
    .optional(),
});

export const worldFile = z.strictObject({
  format: z.literal(1),
  now: time,
  policy: policyConfig.prefault({}),
  world,
  memory: memory.optional(),
});
