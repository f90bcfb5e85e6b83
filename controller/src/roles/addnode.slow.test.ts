// Adding servers over the whole flow: miner API, agent, Kubernetes, the bootstrap server over the CPU backend, validator. Each server of the
// scene has one thing wrong.

import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { type GravalBackend, GravalError } from '@miner/graval/backend.ts';
import { buildAddon } from '@miner/graval/build.ts';
import { openBackend } from '@miner/graval/select.ts';
import type { BackendOf } from '@miner/simulator/cluster/bootstrap.ts';
import { devicesOf, type SimulatedDevice } from '@miner/simulator/cluster/devices.ts';
import type { SimulatedServer } from '@miner/simulator/cluster/servers.ts';
import { send } from '@miner/simulator/validator/testing.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type RunningMiner, runAll } from './all.ts';
import { git, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface Context {
  scene: Scene;
  miner: RunningMiner;
  api: MinerApi;
}

const sizes = { n: 64, num: 2 };
const [good, lies, hides, poor, mistaken, slow, refusing, changing] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Which of the eight servers has what wrong; by name, since all are made alike. */
const wrong = new Map<string, number>();
const indexOf = (name: string) => wrong.get(name) ?? good;
let changedDevices: readonly SimulatedDevice[] | undefined;

function cpu(devices: readonly SimulatedDevice[]): GravalBackend {
  return openBackend({ backend: 'cpu', cpuDevices: devices, refc1Sizes: sizes });
}

function lying(devices: readonly SimulatedDevice[], change: Partial<SimulatedDevice>): GravalBackend {
  return { ...cpu(devices), devices: async () => devices.map((device) => ({ ...device, ...change })) };
}

function broken(devices: readonly SimulatedDevice[]): GravalBackend {
  const { prover, ...backend } = cpu(devices);
  assert.ok(prover);
  const prove = () => Promise.reject(new GravalError('NO_DEVICE', 'the GPUs fell off the bus'));
  return { ...backend, prover: { ...prover, prove } };
}

const backendOf: BackendOf = ({ name }, devices) => {
  switch (indexOf(name)) {
    case lies:
      return lying(devices, { memory: (devices[0]?.memory ?? 0) * 2 });
    case hides:
      // Nothing that its node or the table contradicts: the validator's questions have to find it.
      return lying(devices, { max_threads_per_processor: 1 });
    case refusing:
      return broken(devices);
    case changing:
      return cpu(changedDevices ?? devices);
    default:
      return cpu(devices);
  }
};

function spoil(usual: SimulatedServer[]): SimulatedServer[] {
  return usual.map((server, index) => {
    wrong.set(server.name, index);
    const small = { ...server, gpuCount: 1, gpuIds: server.gpuIds.slice(0, 1) };
    if (index === poor) return { ...small, memoryGiB: 8 };
    // Its image takes hours to arrive.
    return index === slow ? { ...small, netMbps: 5 } : small;
  });
}

const test = suite<Context>('add nodes over the whole flow');

test.before(async (context) => {
  buildAddon();
  const scene = await startScene(8, { servers: spoil, backendOf });
  const { folder, clockEpoch, speed } = scene;
  context.scene = scene;
  context.miner = await runAll({
    dir: folder.path,
    hotkeyFile: folder.hotkeyFile,
    template: folder.template,
    port: 0,
    clockSpeed: speed,
    clockEpoch,
    log: pino({ level: 'silent' }),
  });
  context.api = createMinerApi(context.miner.url, folder.miner);
});

test.after(async ({ miner, scene }) => {
  await miner.stop();
  await scene.close();
});

/** The last message, after the stream ended or was cut. */
async function add({ api, scene }: Context, index: number, gpuShortRef?: string): Promise<string> {
  const server = scene.world.servers[index];
  assert.ok(server);
  const messages: string[] = [];
  const given = {
    name: server.name,
    validator: scene.folder.validator.address,
    hourly_cost: server.hourlyCost,
    gpu_short_ref: gpuShortRef ?? server.gpuShortRef,
    agent_api: scene.world.cluster.agentUrl(server.name),
  };
  await api
    .addNode(given, ({ message }) => messages.push(message))
    .catch((error: Error) => messages.push(error.message));
  return messages.findLast((message) => /FAILED|completed/.test(message)) ?? messages.join('; ');
}

function kube(scene: Scene, name: string, path: string, init: RequestInit = {}): Promise<Response> {
  const kubeconfig = scene.world.cluster.kubeconfig(name);
  const url = /server: (\S+)/.exec(kubeconfig)?.[1];
  const token = /token: (\S+)/.exec(kubeconfig)?.[1];
  return fetch(`${url}${path}`, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
}

/** Nothing of the server is left: not here, not at the validator, not on its cluster, not on main. */
async function assertGone({ api, scene }: Context, index: number): Promise<void> {
  const server = scene.world.servers[index];
  assert.ok(server);
  const rows = (await api.get('/servers/')) as { name: string }[];
  assert.not(rows.some(({ name }) => name === server.name));
  assert.not(
    git(scene.folder.repository, 'ls-tree', '-r', '--name-only', 'main').includes(`servers/${server.name}.yaml`),
  );
  const jobs = await kube(scene, server.name, '/apis/batch/v1/namespaces/chutes/jobs');
  assert.equal(((await jobs.json()) as { items: unknown[] }).items, []);
  const { address: ss58, sign } = scene.folder.miner;
  const key = { ss58, sign };
  const known = await send(scene.world.validator.url, 'GET', '/miner/nodes/', { tail: 'miner', key });
  assert.not(known.text.includes(server.gpuIds[0] ?? ''));
}

test('a good server is verified by the validator and open for chutes', async (context) => {
  assert.match(await add(context, good), /completed server bootstrapping/);
  const status = await statusOf(context);
  assert.is(status.servers[0]?.gpusVerified, 1);
});

const failures: [what: string, index: number, expected: RegExp, ref?: string][] = [
  ['a record that its node contradicts', lies, /FAILED: E-VERIFICATION .*label nvidia.com\/gpu.memory says/],
  ['a record that only the GPU itself contradicts', hides, /FAILED: E-VERIFICATION .*does not match the advertised/],
  ['too little RAM', poor, /FAILED: E-NODE .*8 GiB of RAM for/],
  ['another model than said', mistaken, /FAILED: E-GPU-REF .*not b200/, 'b200'],
  ['a pod that never gets ready', slow, /FAILED: E-VERIFICATION .*not ready within 900 s/],
  ['GPUs that cannot prove', refusing, /FAILED: E-VERIFICATION .*the proof was answered with 503/],
];

for (const [what, index, expected, ref] of failures) {
  test(`${what} is told, and nothing of the server stays`, async (context) => {
    assert.match(await add(context, index, ref), expected);
    await assertGone(context, index);
  });
}

test('a server whose GPU was exchanged is cordoned, verified again, and open with the new GPU', async (context) => {
  const { scene, api } = context;
  const server = scene.world.servers[changing];
  assert.ok(server);
  assert.match(await add(context, changing), /completed/);
  const uuid = 'e'.repeat(32);
  // Somewhat less memory, as other builds of a model have.
  changedDevices = devicesOf(server.gpuShortRef, [uuid]).map((one) => ({
    ...one,
    memory: Math.floor((one.memory * 0.94) / 1024 ** 2) * 1024 ** 2,
  }));
  const memory = String((changedDevices[0]?.memory ?? 0) / 1024 ** 2);
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  const body = JSON.stringify({ metadata: { labels: { 'nvidia.com/gpu.memory': memory } } });
  assert.ok((await kube(scene, server.name, `/api/v1/nodes/${server.name}`, { method: 'PATCH', headers, body })).ok);
  await until(
    async () => (await statusOf(context)).held.some((one) => one.includes(`${server.name} is cordoned: label`)),
    'the cordon',
  );
  await until(async () => {
    const rows = (await api.get('/servers/')) as { name: string; gpus: { gpu_id: string; verified: boolean }[] }[];
    const [gpu] = rows.find(({ name }) => name === server.name)?.gpus ?? [];
    return gpu?.gpu_id === uuid && gpu.verified;
  }, 'the new GPU is verified');
  await until(async () => !(await statusOf(context)).held.some((one) => one.includes('cordoned')), 'no cordon');
});

test.run();
