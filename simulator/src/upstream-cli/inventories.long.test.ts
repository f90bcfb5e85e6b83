// The command line that miners have, unmodified, against this miner: inventories, locks, kubeconfigs, and what the validator knows.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { SimulatedServer } from '../cluster/cluster.ts';
import { parseJson, toJson } from '../lossless.ts';
import { addServers, git, inventory, remoteServers, rowOf } from './effects.ts';
import { upstreamCli } from './install.ts';
import { startUpstreamWorld, type UpstreamWorld } from './world.ts';

const cli = await upstreamCli();
const test = suite(`chutes-miner-cli ${cli.version} on Python ${cli.python}, inventories`);
let world: UpstreamWorld;

const server = (index: number) => world.servers[index] as SimulatedServer;

test.before(async () => {
  world = await startUpstreamWorld(cli, 4);
  await addServers(world, [server(2), server(3)]);
});
test.after(async () => {
  await world?.close();
});

test('local-inventory shows every server and GPU, as tables and as JSON', async () => {
  const [a, b] = [server(2), server(3)];
  const [tables, json, one, none] = await Promise.all(
    [[], ['--raw-json'], ['-n', a.name], ['-n', 'nothing']].map((more) =>
      world.chutesMiner(['local-inventory', ...more, ...world.toMiner]),
    ),
  );
  assert.equal([tables?.code, json?.code, one?.code, none?.code], [0, 0, 0, 1]);
  assert.is(toJson(parseJson(json?.stdout ?? '')), toJson(await inventory(world)), 'the very same, seeds included');
  for (const { name } of [a, b]) assert.match(tables?.stdout ?? '', new RegExp(`Server: ${name}\\s`));
  for (const { hourlyCost } of [a, b]) {
    assert.ok(tables?.stdout.includes(`Hourly Cost │ $${hourlyCost.toFixed(2)} `), tables?.stdout);
  }
  assert.is((tables?.stdout.match(/Verified/g) ?? []).length, a.gpuCount + b.gpuCount);
  assert.not.match(one?.stdout ?? '', b.name);
});

test('remote-inventory shows what the validator knows, as tables and as JSON', async () => {
  const [tables, json] = await Promise.all(
    [[], ['--raw-json']].map((more) => world.chutesMiner(['remote-inventory', ...more, ...world.toValidator])),
  );
  assert.equal([tables?.code, json?.code], [0, 0], tables?.output);
  const { servers } = JSON.parse(json?.stdout ?? '') as { servers: { name: string; gpus: unknown[] }[] };
  assert.equal(servers.map(({ name }) => name).sort(), (await remoteServers(world)).map(({ name }) => name).sort());
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
    assert.is((await rowOf(world, name))?.locked, locked);
    assert.is(parse(git(world, 'show', `main:servers/${name}.yaml`)).locked ?? false, locked);
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

test('delete-remote and scorch-remote empty the validator, which the miner survives', async () => {
  const named = (await remoteServers(world)).map(({ name }) => name);
  assert.ok(named.includes(server(2).name) && named.includes(server(3).name), named.join(' '));
  const one = await world.chutesMiner(['delete-remote', '--name', server(2).name, ...world.toValidator]);
  assert.is(one.code, 0, one.output);
  assert.not((await remoteServers(world)).some(({ name }) => name === server(2).name));
  const missing = await world.chutesMiner(['delete-remote', '--name', 'nothing', ...world.toValidator]);
  assert.is(missing.code, 1);
  const all = await world.chutesMiner(['scorch-remote', ...world.toValidator]);
  assert.is(all.code, 0, all.output);
  assert.match(all.output, server(3).name);
  assert.equal(await remoteServers(world), []);
  assert.ok((await inventory(world)).length >= 2);
});

test.run();
