// GET /servers/ of a whole fleet: 1,000 servers with 8,000 GPUs and 5,000 deployments in a real PostgreSQL, over HTTP with signatures.
// The client is a process of its own. Prints one JSON object a line: latency and CPU one at a time, rate four at a time, size.

import { execFile } from 'node:child_process';
import { Agent, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createApi } from '@miner/controller/api/server.ts';
import type { ServerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentLifecycle } from '@miner/controller/domain/deployment.ts';
import { plainChute } from '@miner/controller/domain/fixtures.ts';
import { lifecycleOf } from '@miner/controller/domain/lifecycle.ts';
import type { MainTree, Store } from '@miner/controller/domain/ports.ts';
import { seededRandom, uuidFrom } from '@miner/controller/domain/random.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { managementHeaders } from '@miner/controller/signing/sign.ts';
import { createSigner } from '@miner/controller/signing/sr25519.ts';
import { openStore } from '@miner/controller/store/open.ts';
import { startPostgres } from '../controller/test/postgres.ts';
import { machine } from './machine.ts';

const servers = 1000;
const gpusPerServer = 8;
const deployments = 5000;
const chutes = 200;
const requests = 100;
const parallel = 4;

const signer = createSigner(Buffer.alloc(32, 7));
const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

function serverOf(n: number, id: () => string): Server {
  return {
    serverId: id(),
    name: `gpu-${n}`,
    validator,
    ip: `10.${n >> 8}.${n & 255}.1`,
    agentApi: `http://10.${n >> 8}.${n & 255}.1:32000`,
    gpuShortRef: 'h100_sxm',
    gpus: Array.from({ length: gpusPerServer }, () => {
      const uuid = id().replaceAll('-', '');
      const deviceInfo = { uuid, name: 'NVIDIA H100 80GB HBM3', memory: 85_017_624_576, clock_rate: 1_980_000 };
      return {
        gpuId: uuid,
        model: 'h100_sxm',
        verified: true,
        deviceInfo: { ...deviceInfo, major: 9, minor: 0, processors: 132, sxm: true, ecc: true },
      };
    }),
    cpuPerGpu: 4,
    memoryPerGpu: 79,
    diskGb: 1000,
    hourlyCost: 1.5,
    locked: false,
    tee: false,
    seed: 9_223_372_036_854_775_807n - BigInt(n),
    verificationPort: 30_000,
    createdAt: 1_735_689_600_000,
  };
}

/** Fills GPU after GPU, one to each deployment. */
function lifecycleAt(n: number, on: Server, chuteId: string, id: () => string): DeploymentLifecycle {
  const at = 1_735_689_600_000 + n;
  const planned = lifecycleOf(
    {
      deploymentId: id(),
      chuteId,
      chuteName: chuteId,
      version: 'v1',
      validator,
      server: on.name,
      gpuIds: [on.gpus[Math.floor(n / servers)]?.gpuId ?? ''],
      ports: [30_100, 30_101].map((nodePort, i) => ({
        port: 8000 + i,
        proto: 'TCP',
        nodePort: nodePort + (n % 100) * 2,
      })),
      configId: id(),
      jobId: undefined,
      diskGb: 10,
      preemptible: true,
      decisionId: id(),
      reason: 'scale-up',
    },
    at,
  );
  return { ...planned, instanceId: id(), committedAt: at, verifiedAt: at, activatedAt: at };
}

async function fill(store: Store): Promise<Server[]> {
  const random = seededRandom(1);
  const id = () => uuidFrom(random);
  const fleet = Array.from({ length: servers }, (_, n) => serverOf(n, id));
  await Promise.all(fleet.map((server) => store.addServer(server)));
  const apps = Array.from({ length: chutes }, (_, n) =>
    plainChute({ chuteId: id(), validator, name: `app-${n}`, code: 'x'.repeat(5000) }),
  );
  await store.saveChutes(apps);
  const rows = Array.from({ length: deployments }, (_, n) =>
    lifecycleAt(n, fleet[n % servers] as Server, apps[n % chutes]?.chuteId ?? '', id),
  );
  await store.addLifecycle(rows);
  return fleet;
}

function configOf({ name, hourlyCost, locked, gpuShortRef, agentApi }: Server): ServerConfig {
  return { name, validator, hourlyCost, locked, gpuShortRef, agentApi: agentApi ?? '' };
}

/** Answers to `bytes` when the last one is there. */
function fetchOnce(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = managementHeaders(signer, { purpose: 'management' });
    const request = get(`${url}/servers/`, { agent, headers }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.once('end', () =>
        response.statusCode === 200 ? resolve(bytes) : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    request.once('error', reject);
  });
}

interface Measured {
  /** Milliseconds of each answer. */
  times: number[];
  bytes: number;
  perSecond: number;
}

/** What the client process does: `requests` in all, so many at a time. */
async function measure(url: string, atOnce: number): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const times: number[] = [];
  let bytes = 0;
  let left = requests;
  async function worker(): Promise<void> {
    while (left-- > 0) {
      const started = performance.now();
      bytes = await fetchOnce(url, agent);
      times.push(performance.now() - started);
    }
  }
  const started = performance.now();
  await Promise.all(Array.from({ length: atOnce }, worker));
  const perSecond = (requests * 1000) / (performance.now() - started);
  agent.destroy();
  return { times, bytes, perSecond };
}

async function runClient(url: string, atOnce: number): Promise<Measured> {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), '--client', url, String(atOnce)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 300_000 });
  return JSON.parse(stdout) as Measured;
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}

function print(name: string, value: number, unit: string, n: number): void {
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, n, machine: machine() }));
}

async function main(): Promise<void> {
  const database = await startPostgres();
  const store = await openStore({ url: database.url });
  try {
    const fleet = await fill(store);
    const configured = new Map(fleet.map((server) => [server.name, configOf(server)]));
    const api = createApi({
      signer,
      store,
      log: { info() {}, warn() {}, error: console.error },
      repo: { readMain: async () => ({ servers: configured }) as unknown as MainTree, writeServer: async () => '' },
      nodes: { prepare: () => Promise.reject(new Error('not in this bench')), deleteNode: async () => undefined },
      status: async () => undefined,
      undeploy: () => undefined,
      changed: () => undefined,
      limits: { requests: { max: 1e9, perMs: 1000 } },
    });
    await api.listen({ host: '127.0.0.1', port: 0 });
    const url = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`;
    // The first ones load code and make the database plan its queries.
    const agent = new Agent();
    for (let i = 0; i < 10; i++) await fetchOnce(url, agent);
    const before = process.cpuUsage();
    const one = await runClient(url, 1);
    const { user, system } = process.cpuUsage(before);
    const four = await runClient(url, parallel);
    print('api-inventory-p50', percentile(one.times, 0.5), 'ms', requests);
    print('api-inventory-p99', percentile(one.times, 0.99), 'ms', requests);
    print('api-inventory-cpu', (user + system) / 1000 / requests, 'ms CPU per request', requests);
    print(`api-inventory-rate-${parallel}`, four.perSecond, 'requests/s', requests);
    print('api-inventory-size', one.bytes, 'bytes', 1);
    await api.close();
  } finally {
    await store.close();
    await database.stop();
  }
}

if (process.argv[2] === '--client')
  console.log(JSON.stringify(await measure(process.argv[3] ?? '', Number(process.argv[4]))));
else await main();
