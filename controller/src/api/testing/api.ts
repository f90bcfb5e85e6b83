// The API over ports in memory, listening on a free port, and a client that can sign rightly and wrongly.

import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { uvu } from 'uvu';
import type { ServerConfig } from '../../domain/config.ts';
import type { DeploymentLifecycle } from '../../domain/deployment.ts';
import { plainChute } from '../../domain/fixtures.ts';
import type { MainTree, StoredDecision } from '../../domain/ports.ts';
import type { Server } from '../../domain/server.ts';
import { managementHeaders, type SignedContent, type SignedHeaders } from '../../signing/sign.ts';
import { createSigner } from '../../signing/sr25519.ts';
import type { ApiOptions } from '../options.ts';
import { createApi } from '../server.ts';

export const miner = createSigner(
  Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'),
);
export const stranger = createSigner(
  Buffer.from('398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89', 'hex'),
);
export const nowMs = 1735689600_000;

export function gpuId(n: number): string {
  return n.toString(16).padStart(32, '0');
}

export function server(name: string, gpus: number[], change: Partial<Server> = {}): Server {
  return {
    serverId: `uid-${name}`,
    name,
    validator: stranger.address,
    ip: '203.0.113.10',
    agentApi: 'http://203.0.113.10:32000',
    gpuShortRef: 'h100_sxm',
    gpus: gpus.map((n) => ({
      gpuId: gpuId(n),
      model: 'h100_sxm',
      verified: true,
      deviceInfo: { uuid: gpuId(n), name: 'NVIDIA H100 80GB HBM3', memory: 85_017_624_576, clock_rate: 1_980_000 },
    })),
    cpuPerGpu: 4,
    memoryPerGpu: 79,
    diskGb: 1000,
    hourlyCost: 1.5,
    locked: false,
    tee: false,
    seed: 9223372036854775807n,
    verificationPort: 30000,
    createdAt: nowMs,
    ...change,
  };
}

export function deployment(id: string, on: string, gpus: number[], change: Partial<DeploymentLifecycle> = {}) {
  const row: DeploymentLifecycle = {
    deploymentId: id,
    chuteId: 'chute-1',
    version: 'v1',
    validator: stranger.address,
    server: on,
    configId: `config-${id}`,
    instanceId: `instance-${id}`,
    jobId: undefined,
    gpuIds: gpus.map(gpuId),
    nodePorts: [30100, 30101],
    plannedAt: nowMs,
    tokenAt: nowMs,
    secretAt: nowMs,
    committedAt: nowMs + 1000,
    runningAt: undefined,
    claimedAt: undefined,
    verifiedAt: nowMs + 2000,
    activatedAt: nowMs + 3000,
    instanceGoneAt: undefined,
    undeployAt: undefined,
    removedAt: undefined,
    goneAt: undefined,
    ...change,
  };
  return row;
}

export const chute = plainChute({
  chuteId: 'chute-1',
  validator: stranger.address,
  name: 'llama',
  image: 'u/n:t',
  refStr: 'a:b',
  filename: 'a.py',
  code: 'SECRET CODE',
  chutesVersion: '0.3.0',
});

export interface Context {
  url: string;
  app: FastifyInstance;
  clock: { ms: number; now(): number };
  servers: Server[];
  rows: DeploymentLifecycle[];
  /** `servers/` on branch `main`. */
  configured: Map<string, ServerConfig>;
  /** What the store gives for every question. */
  decisions: StoredDecision[];
  /** What was warned of, with its fields. */
  warnings: Record<string, unknown>[];
  /** Changes asked for, in order. */
  done: string[];
  /** May be replaced by a test. */
  options: ApiOptions;
  /** Another API over the same ports. Closed after the test. */
  start(change: Partial<ApiOptions>): Promise<string>;
  stop(): Promise<void>;
  /** Sign and send; `body` is sent as it is. */
  call(
    method: string,
    path: string,
    given?: { body?: string; purpose?: string; headers?: SignedHeaders },
  ): Promise<Response>;
  sign(content: SignedContent): SignedHeaders;
}

function createOptions(context: Context): ApiOptions {
  const { servers, rows, configured, done, clock, warnings } = context;
  return {
    signer: miner,
    clock,
    log: {
      info: () => {},
      warn: (fields: unknown, message?: string) => {
        warnings.push({ ...(fields as object), message });
      },
      error: () => {},
    } satisfies ApiOptions['log'],
    store: {
      servers: async () => [...servers],
      lifecycles: async () => [...rows],
      chutes: async () => [chute],
      decisions: async (limit, filter) => {
        done.push(`decisions ${limit} ${JSON.stringify(filter)}`);
        return context.decisions;
      },
      async updateServer(name, change) {
        done.push(`store ${name} ${JSON.stringify(change)}`);
        const index = servers.findIndex((one) => one.name === name);
        const found = servers[index];
        if (found) servers[index] = { ...found, ...change, cordoned: change.cordoned ?? undefined };
      },
    },
    repo: {
      readMain: async () => ({ commit: 'c', servers: configured }) as unknown as MainTree,
      async writeServer(config) {
        done.push(`repo ${config.name} locked=${config.locked}`);
        configured.set(config.name, config);
        return 'c';
      },
    },
    nodes: {
      async prepare(request) {
        done.push(`prepare ${JSON.stringify(request)}`);
        return { run: async (progress) => progress('completed server bootstrapping in 1 seconds!') };
      },
      async deleteNode(name) {
        done.push(`deleteNode ${name}`);
      },
    },
    status: async () => ({ hotkey: miner.address }),
    world: async () => JSON.stringify({ format: 1, now: nowMs, world: {} }),
    plan: async (chute?: string) => ({
      decisions: context.decisions.map(({ decision }) => decision),
      held: ['waits'],
      blocked: ['too dear'],
      whyNot: chute === undefined ? [] : [{ chuteId: 'c', chuteName: chute, reasons: ['no GPU'] }],
    }),
    undeploy: (ids) => {
      done.push(`undeploy ${ids.join(' ')}`);
    },
    changed: () => {},
    // A test may refuse as often as it has routes and forgeries.
    limits: { refusals: { max: 1000, perMs: 1000 } },
    observe: () => ({ health: new Map([['gpu-0', { state: 'healthy', since: 0, syncedAt: 0 }]]) }),
  };
}

/** The URL. */
async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

/** Two servers, of which gpu-0 runs a chute and a job; a fresh API for every test. */
export function useApi(test: uvu.Test<Context>): void {
  test.before.each(async (context) => {
    const clock = { ms: nowMs, now: () => clock.ms };
    const servers = [server('gpu-1', [3]), server('gpu-0', [1, 2])];
    const rows = [deployment('d1', 'gpu-0', [1]), deployment('d2', 'gpu-0', [2], { jobId: 'j1' })];
    Object.assign(context, { clock, servers, rows, configured: new Map(), decisions: [], warnings: [], done: [] });
    context.options = createOptions(context);
    // A test may replace a port after this, so each is looked up when it is called.
    const { nodes, status, undeploy, ...fixed } = context.options;
    context.app = createApi({
      ...fixed,
      nodes: {
        prepare: (request) => context.options.nodes.prepare(request),
        deleteNode: (name) => context.options.nodes.deleteNode(name),
      },
      status: () => context.options.status(),
      undeploy: (ids) => context.options.undeploy(ids),
    });
    context.url = await listen(context.app);
    const others: FastifyInstance[] = [];
    context.start = (change) => {
      const app = createApi({ ...context.options, ...change });
      others.push(app);
      return listen(app);
    };
    context.stop = async () => {
      for (const app of [context.app, ...others]) await app.close();
    };
    context.sign = (content) => managementHeaders(miner, content, clock);
    context.call = (method, path, { body, purpose = 'management', headers } = {}) =>
      fetch(context.url + path, {
        method,
        redirect: 'manual',
        headers: headers ?? context.sign({ body, purpose }),
        ...(body === undefined ? {} : { body }),
      });
  });
  test.after.each(({ stop }) => stop());
}

export const addBody =
  '{"name": "gpu-9", "validator": "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "hourly_cost": 1.5, "gpu_short_ref": "h100_sxm", "agent_api": "http://203.0.113.10:32000"}';
