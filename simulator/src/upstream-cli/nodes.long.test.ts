// The command line that miners have, unmodified, against this miner: servers come and go.

import { seededRandom } from '@miner/controller/domain/random.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  loadModelSizes,
  makeServers,
  type SimulatedCluster,
  type SimulatedServer,
  startCluster,
} from '../cluster/cluster.ts';
import { devicesOf } from '../cluster/devices.ts';
import { send } from '../validator/testing.ts';
import { configured, git, inventory, remoteServers, rowOf } from './effects.ts';
import { upstreamCli } from './install.ts';
import { eventually, startUpstreamWorld, type UpstreamWorld } from './world.ts';

const cli = await upstreamCli();
const test = suite(`chutes-miner-cli ${cli.version} on Python ${cli.python}, servers`);
let world: UpstreamWorld;
let liarCluster: SimulatedCluster | undefined;

const server = (index: number) => world.servers[index] as SimulatedServer;
const addArguments = ({ name, gpuShortRef, ip }: SimulatedServer, change: Record<string, string> = {}) =>
  Object.entries({
    '--name': name,
    '--validator': world.validator.hotkey,
    '--hourly-cost': '1.25',
    '--gpu-short-ref': gpuShortRef,
    '--agent-api': `http://${ip}:32000`,
    ...change,
  }).flat();

function addNode(which: SimulatedServer, change: Record<string, string> = {}) {
  return world.chutesMiner(['add-node', ...addArguments(which, change), ...world.toMiner]);
}

test.before(async () => {
  world = await startUpstreamWorld(cli, 4);
});
test.after(async () => {
  await liarCluster?.close();
  await world?.close();
});

test('add-node takes a server in: all GPUs verified, written to main, known to the validator, exit code 0', async () => {
  const added = [server(2), server(3)];
  const runs = await Promise.all(added.map((one) => addNode(one)));
  for (const [i, { code, output }] of runs.entries()) {
    assert.is(code, 0, output);
    assert.match(output, /completed server bootstrapping in \d+ seconds!\s*$/);
    assert.not.match(output, 'FAILED');
    const { name, gpuIds } = added[i] as SimulatedServer;
    const row = await rowOf(world, name);
    assert.is(row?.hourly_cost, 1.25);
    assert.equal(row?.gpus.map((gpu) => [gpu.gpu_id, gpu.verified]).sort(), gpuIds.map((id) => [id, true]).sort());
    assert.equal(
      (await remoteServers(world)).find((one) => one.name === name)?.gpus.map(({ uuid }) => uuid),
      [...gpuIds],
    );
  }
  assert.equal(configured(world), added.map(({ name }) => name).sort());
});

test('add-node with a GPU that cannot prove what it says ends in words that cannot be missed, and leaves nothing', async () => {
  const base = world.state.addressBase;
  const liar = { ...(makeServers(3, 7, base)[2] as SimulatedServer), name: 'gpu-liar', ip: `${base}.201` };
  liarCluster = await startCluster({
    servers: [liar],
    repository: world.folder.repository,
    clock: world.clock,
    minerHotkey: world.folder.miner.address,
    validator: { hotkey: world.validator.hotkey, api: world.validator.url },
    modelSizes: loadModelSizes(),
    // Less work than the validator asks for.
    proofSizes: { n: 32, num: 1 },
    random: seededRandom(7),
  });
  const { code, output } = await addNode(liar);
  assert.match(output, /FAILED: E-VERIFICATION the validator refused the GPUs/);
  assert.not.match(output, /completed server bootstrapping/);
  assert.is(code, 1);
  assert.is(await rowOf(world, liar.name), undefined);
  assert.not(configured(world).includes(liar.name));
  assert.not((await remoteServers(world)).some(({ name }) => name === liar.name));
});

test('add-node with GPUs that the validator has already says so at the end of the stream', async () => {
  const { gpuIds, gpuShortRef, ip } = server(0);
  const nodes = devicesOf(gpuShortRef, gpuIds).map((device, device_index) => ({
    ...device,
    device_index,
    gpu_identifier: gpuShortRef,
    verification_host: ip,
    verification_port: 31999,
  }));
  const body = { server_id: 'elsewhere', server_name: 'elsewhere', nodes };
  assert.is((await send(world.validator.url, 'POST', '/nodes/', { body, key: world.miner })).status, 202);
  const { code, output } = await addNode(server(0));
  assert.match(output, /FAILED: E-VALIDATOR .*409/);
  assert.not.match(output, /completed server bootstrapping/);
  assert.is(code, 0, 'the stream ends normally, and upstream takes that for success');
  assert.is(await rowOf(world, server(0).name), undefined);
});

// Each for a server of its own: one that is being added is refused for that.
const refusals: [what: string, index: number, change: () => Record<string, string>, words: RegExp][] = [
  ['twice', 2, () => ({}), /409.*E-ALREADY-ADDED/s],
  ['with a GPU model nobody knows', 1, () => ({ '--gpu-short-ref': 'h900' }), /400.*E-GPU-REF/s],
  ['for an unknown validator', 0, () => ({ '--validator': world.folder.miner.address }), /400.*E-USAGE.*validator/s],
  [
    'with an agent that is not there',
    0,
    () => ({ '--name': 'gpu-gone', '--agent-api': 'http://127.0.0.1:1' }),
    /502.*E-AGENT-UNREACHABLE/s,
  ],
  ['under a name its cluster does not have', 0, () => ({ '--name': 'gpu-other' }), /400.*E-NAME-CONTEXT/s],
];
test('add-node that is refused exits with 1, names the reason, and changes nothing', async () => {
  const before = [await inventory(world), configured(world), git(world, 'rev-parse', 'main')];
  const runs = await Promise.all(refusals.map(([, index, change]) => addNode(server(index), change())));
  for (const [i, { code, output }] of runs.entries()) {
    const [what, , , words] = refusals[i] as (typeof refusals)[number];
    assert.is(code, 1, what);
    // The status stands below the reason.
    assert.ok(words.test(output.split('\n').reverse().join('\n')), `${what}: ${output}`);
  }
  assert.equal([await inventory(world), configured(world), git(world, 'rev-parse', 'main')], before);
});

test('delete-node of a server without jobs asks nothing and takes it out everywhere', async () => {
  const { name } = server(3);
  const { code, stdout } = await world.chutesMiner(['delete-node', '--name', name, ...world.toMiner]);
  assert.is(code, 0);
  assert.is(JSON.parse(stdout).status, 'started');
  await eventually('deletion', async () => ((await rowOf(world, name)) === undefined ? true : undefined));
  await eventually('deletion at the validator', async () =>
    (await remoteServers(world)).some((one) => one.name === name) ? undefined : true,
  );
  assert.not(configured(world).includes(name));
});

test.run();
