// The command line that miners have, unmodified, against this miner: servers, inventories, locks, kubeconfigs, and what the validator knows.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import {
  loadModelSizes,
  makeServers,
  type SimulatedCluster,
  type SimulatedServer,
  startCluster,
} from '../cluster/cluster.ts';
import { devicesOf } from '../cluster/devices.ts';
import { parseJson, toJson } from '../lossless.ts';
import { send } from '../validator/testing.ts';
import { upstreamCli } from './install.ts';
import { eventually, startUpstreamWorld, type UpstreamWorld } from './world.ts';

interface ServerRow {
  name: string;
  locked: boolean;
  gpu_count: number;
  hourly_cost: number;
  gpus: { gpu_id: string; verified: boolean }[];
}

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

async function inventory(): Promise<ServerRow[]> {
  return (await world.api.get('/servers/')) as ServerRow[];
}

async function rowOf(name: string): Promise<ServerRow | undefined> {
  return (await inventory()).find((row) => row.name === name);
}

function git(...args: string[]): string {
  return execFileSync('git', ['-C', world.folder.repository, ...args], { encoding: 'utf8' });
}

function configured(): string[] {
  const paths = git('ls-tree', '-r', '--name-only', 'main', 'servers/').trim().split('\n');
  const names = paths.map((path) => path.slice('servers/'.length, -'.yaml'.length));
  return names.filter((name) => name.startsWith('gpu-'));
}

async function remoteServers(): Promise<{ name: string; server_id: string; gpus: { uuid: string }[] }[]> {
  const answer = await send(world.validator.url, 'GET', '/miner/servers/', { tail: 'miner', key: world.miner });
  return answer.json.servers;
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
    const row = await rowOf(name);
    assert.is(row?.hourly_cost, 1.25);
    assert.equal(row?.gpus.map((gpu) => [gpu.gpu_id, gpu.verified]).sort(), gpuIds.map((id) => [id, true]).sort());
    assert.equal(
      (await remoteServers()).find((one) => one.name === name)?.gpus.map(({ uuid }) => uuid),
      [...gpuIds],
    );
  }
  assert.equal(configured().sort(), added.map(({ name }) => name).sort());
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
  assert.is(await rowOf(liar.name), undefined);
  assert.not(configured().includes(liar.name));
  assert.not((await remoteServers()).some(({ name }) => name === liar.name));
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
  assert.is(await rowOf(server(0).name), undefined);
});

const refusals: [what: string, change: () => Record<string, string>, words: RegExp][] = [
  [
    'twice',
    () => ({ '--name': server(2).name, '--agent-api': `http://${server(2).ip}:32000` }),
    /409.*E-ALREADY-ADDED/s,
  ],
  ['with a GPU model nobody knows', () => ({ '--gpu-short-ref': 'h900' }), /400.*E-GPU-REF/s],
  ['for an unknown validator', () => ({ '--validator': world.folder.miner.address }), /E-[A-Z-]+.*validator/s],
  ['with an agent that is not there', () => ({ '--agent-api': 'http://127.0.0.1:1' }), /502.*E-AGENT-UNREACHABLE/s],
  ['under a name its cluster does not have', () => ({ '--name': 'other' }), /400.*E-NAME-CONTEXT/s],
];
test('add-node that is refused exits with 1, names the reason, and changes nothing', async () => {
  const before = [await inventory(), configured(), git('rev-parse', 'main')];
  const runs = await Promise.all(refusals.map(([, change]) => addNode(server(1), change())));
  for (const [i, { code, output }] of runs.entries()) {
    const [what, , words] = refusals[i] as (typeof refusals)[number];
    assert.is(code, 1, what);
    // The status stands below the reason.
    assert.match(output.split('\n').reverse().join('\n'), words, what);
  }
  assert.equal([await inventory(), configured(), git('rev-parse', 'main')], before);
});

test('local-inventory shows every server and GPU, as tables and as JSON', async () => {
  const [a, b] = [server(2), server(3)];
  const [tables, json, one, none] = await Promise.all(
    [[], ['--raw-json'], ['-n', a.name], ['-n', 'nothing']].map((more) =>
      world.chutesMiner(['local-inventory', ...more, ...world.toMiner]),
    ),
  );
  assert.equal([tables?.code, json?.code, one?.code, none?.code], [0, 0, 0, 1]);
  assert.is(toJson(parseJson(json?.stdout ?? '')), toJson(await inventory()), 'the very same, seeds included');
  for (const { name } of [a, b]) assert.match(tables?.stdout ?? '', new RegExp(`Server: ${name}\\s`));
  assert.match(tables?.stdout ?? '', /Hourly Cost .* \$1\.25 /);
  assert.is((tables?.stdout.match(/Verified/g) ?? []).length, a.gpuCount + b.gpuCount);
  assert.not.match(one?.stdout ?? '', b.name);
});

test('remote-inventory shows what the validator knows, as tables and as JSON', async () => {
  const [tables, json] = await Promise.all(
    [[], ['--raw-json']].map((more) => world.chutesMiner(['remote-inventory', ...more, ...world.toValidator])),
  );
  assert.equal([tables?.code, json?.code], [0, 0], tables?.output);
  const { servers } = JSON.parse(json?.stdout ?? '') as { servers: { name: string; gpus: unknown[] }[] };
  assert.equal(servers.map(({ name }) => name).sort(), (await remoteServers()).map(({ name }) => name).sort());
  for (const id of [...server(2).gpuIds, ...server(3).gpuIds]) assert.match(tables?.stdout ?? '', id);
});

test('lock and unlock are told, kept on main and shown', async () => {
  const { name } = server(2);
  for (const [command, locked] of [
    ['lock', true],
    ['unlock', false],
  ] as const) {
    const { code, stdout } = await world.chutesMiner([command, '--name', name, ...world.toMiner]);
    assert.is(code, 0);
    assert.match(stdout, `lock status is now: ${locked ? 'True' : 'False'}`);
    assert.is((await rowOf(name))?.locked, locked);
    assert.is(parse(git('show', `main:servers/${name}.yaml`)).locked ?? false, locked);
  }
  const unknown = await world.chutesMiner(['lock', '--name', 'nothing', ...world.toMiner]);
  assert.is(unknown.code, 1);
  assert.match(unknown.output, /404/);
});

interface Kubeconfig {
  'current-context': string | null;
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  clusters: { name: string; cluster: { server: string } }[];
  users: { name: string; user: { token: string } }[];
}

/** Ask the cluster of a context for its nodes, as kubectl would. */
async function nodeNames({ contexts, clusters, users }: Kubeconfig, name: string): Promise<string[]> {
  const context = contexts.find((one) => one.name === name)?.context;
  const cluster = clusters.find((one) => one.name === context?.cluster)?.cluster;
  const user = users.find((one) => one.name === context?.user)?.user;
  const headers = { Authorization: `Bearer ${user?.token}` };
  const answer = await fetch(`${cluster?.server}/api/v1/nodes`, { headers });
  const { items } = (await answer.json()) as { items: { metadata: { name: string } }[] };
  return items.map(({ metadata }) => metadata.name);
}

test('sync-kubeconfig writes contexts that lead to the clusters, after a yes', async () => {
  const path = join(world.home, 'all.config');
  const command = ['sync-kubeconfig', '--path', path, ...world.toMiner];
  const no = await world.chutesMiner(command, { input: 'n\n' });
  assert.is(no.code, 1);
  assert.not(existsSync(path));
  const yes = await world.chutesMiner(command, { input: 'y\n' });
  assert.is(yes.code, 0, yes.output);
  const config = parse(readFileSync(path, 'utf8')) as Kubeconfig;
  for (const { name } of [server(2), server(3)]) {
    assert.equal(await nodeNames(config, name), [name]);
    assert.is(config.contexts.find((one) => one.name === name)?.context.namespace, 'chutes');
  }
});

test('sync-node-kubeconfig merges the context of one node, and replaces it only when told', async () => {
  const path = join(world.home, 'node.config');
  const sync = (which: SimulatedServer, more: readonly string[] = []) => {
    const to = ['--agent-api', `http://${which.ip}:32000`, '--context-name', which.name, '--path', path];
    return world.chutesMiner(['sync-node-kubeconfig', ...to, ...more, ...world.toMiner.slice(0, 2)], { input: 'y\n' });
  };
  for (const which of [server(2), server(3)]) {
    const { code, output } = await sync(which);
    assert.is(code, 0, output);
  }
  const config = parse(readFileSync(path, 'utf8')) as Kubeconfig;
  for (const { name } of [server(2), server(3)]) assert.equal(await nodeNames(config, name), [name]);
  const [again, over] = [await sync(server(2)), await sync(server(2), ['--overwrite'])];
  assert.equal([again.code, over.code], [1, 0]);
  assert.equal(parse(readFileSync(path, 'utf8')), config);
});

test('delete-node of a server without jobs asks nothing and takes it out everywhere', async () => {
  const { name } = server(3);
  const { code, stdout } = await world.chutesMiner(['delete-node', '--name', name, ...world.toMiner]);
  assert.is(code, 0);
  assert.is(JSON.parse(stdout).status, 'started');
  await eventually('deletion', async () => ((await rowOf(name)) === undefined ? true : undefined));
  await eventually('deletion at the validator', async () =>
    (await remoteServers()).some((one) => one.name === name) ? undefined : true,
  );
  assert.not(configured().includes(name));
});

test('delete-remote and scorch-remote empty the validator, which the miner survives', async () => {
  await addNode(server(3));
  const named = (await remoteServers()).map(({ name }) => name);
  assert.ok(named.includes(server(2).name) && named.includes(server(3).name), named.join(' '));
  const one = await world.chutesMiner(['delete-remote', '--name', server(2).name, ...world.toValidator]);
  assert.is(one.code, 0, one.output);
  assert.not((await remoteServers()).some(({ name }) => name === server(2).name));
  const missing = await world.chutesMiner(['delete-remote', '--name', 'nothing', ...world.toValidator]);
  assert.is(missing.code, 1);
  const all = await world.chutesMiner(['scorch-remote', ...world.toValidator]);
  assert.is(all.code, 0, all.output);
  assert.match(all.output, server(3).name);
  assert.equal(await remoteServers(), []);
  assert.ok((await inventory()).length >= 2);
});

test.run();
