// The command line that miners have, unmodified, against this miner: its deployments and what their instances log.

import { execFileSync } from 'node:child_process';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { decodeJwt } from 'jose';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { SimulatedServer } from '../cluster/cluster.ts';
import { itemsOf, send } from '../validator/testing.ts';
import { upstreamCli } from './install.ts';
import { eventually, startUpstreamWorld, type UpstreamWorld } from './world.ts';

interface DeploymentRow {
  deployment_id: string;
  instance_id: string | null;
  active: boolean;
  job_id: string | null;
}

const cli = await upstreamCli();
const test = suite(`chutes-miner-cli ${cli.version} on Python ${cli.python}, deployments`);
let world: UpstreamWorld;

const [first, second] = [() => world.servers[2] as SimulatedServer, () => world.servers[3] as SimulatedServer];

/** Deployments by server name. */
async function deployments(): Promise<Map<string, DeploymentRow[]>> {
  const servers = (await world.api.get('/servers/')) as { name: string; deployments: DeploymentRow[] }[];
  return new Map(servers.map(({ name, deployments: rows }) => [name, rows]));
}

async function rowsOf(name: string): Promise<DeploymentRow[]> {
  return (await deployments()).get(name) ?? [];
}

async function instanceIds(): Promise<unknown[]> {
  const feed = await send(world.validator.url, 'GET', '/miner/instances/', { tail: 'miner', key: world.miner });
  return itemsOf(feed).map((item) => item.instance_id);
}

function liveIds(): string[] {
  const { repository } = world.folder;
  const paths = execFileSync('git', ['-C', repository, 'ls-tree', '-r', '--name-only', 'live'], { encoding: 'utf8' });
  return [...paths.matchAll(/([0-9a-f-]{36})\.yaml/g)].map(([, id]) => id ?? '');
}

/** Gone from the inventory, from git, and their instances from the validator. */
async function areGone(rows: readonly DeploymentRow[]): Promise<void> {
  const ids = rows.map(({ deployment_id }) => deployment_id);
  await eventually(`end of ${ids.join(' ')}`, async () => {
    const shown = [...(await deployments()).values()].flat().map(({ deployment_id }) => deployment_id);
    const instances = await instanceIds();
    const left = ids.filter((id) => shown.includes(id) || liveIds().includes(id));
    const running = rows.filter(({ instance_id }) => instance_id !== null && instances.includes(instance_id));
    return left.length + running.length === 0 ? true : undefined;
  });
}

/** Every server has some, and one of them is active. */
function atWork(): Promise<Map<string, DeploymentRow[]>> {
  return eventually('deployments on both servers', async () => {
    const found = await deployments();
    const each = [first(), second()].map(({ name }) => found.get(name) ?? []);
    return each.every((rows) => rows.length > 0) && each.flat().some(({ active }) => active) ? found : undefined;
  });
}

test.before(async () => {
  world = await startUpstreamWorld(cli, 4);
  const adding = [first(), second()].map(({ name, gpuShortRef, ip }) => {
    const node = { name, validator: world.validator.hotkey, hourly_cost: 1, gpu_short_ref: gpuShortRef };
    return world.api.addNode({ ...node, agent_api: `http://${ip}:32000` }, () => undefined);
  });
  await Promise.all(adding);
  const fitting = world.validator
    .chutes()
    .filter((chute) => chute.gpuCount === 1 && chute.isPublic && !chute.jobOnly && !chute.disabled)
    .filter((chute) => needsLaunchToken(chute))
    .filter(({ supportedGpus: refs }) => [first(), second()].every(({ gpuShortRef }) => refs.includes(gpuShortRef)));
  for (const chute of fitting.slice(0, 3)) world.validator.setTarget(chute.chuteId, chute.activeTotal + 2);
});
test.after(async () => {
  await world?.close();
});

/** The launch token of some deployment, from its Secret on the server's cluster. */
async function launchToken(): Promise<string | undefined> {
  for (const { name } of [first(), second()]) {
    const { clusters, users } = parse(world.cluster.kubeconfig(name));
    const headers = { Authorization: `Bearer ${users[0].user.token}` };
    const answer = await fetch(`${clusters[0].cluster.server}/api/v1/namespaces/chutes/secrets`, { headers });
    const { items } = (await answer.json()) as { items: { metadata: { name: string }; data?: { token?: string } }[] };
    const secret = items.find(({ metadata }) => metadata.name.startsWith('launch-'));
    if (secret?.data?.token) return Buffer.from(secret.data.token, 'base64').toString();
  }
  return undefined;
}

test('instance-logs follows the instance of a launch token until it is active, and goes on after a cursor', async () => {
  const token = await eventually('launch token', launchToken);
  const { sub } = decodeJwt(token);
  await eventually('claim', async () => {
    const feed = await send(world.validator.url, 'GET', '/miner/instances/', { tail: 'miner', key: world.miner });
    return itemsOf(feed).find((item) => item.config_id === sub);
  });
  const command = ['instance-logs', '--jwt', token, '--validator-api', world.validator.url];
  const { code, stdout, output } = await world.chutesMiner(command);
  assert.is(code, 0, output);
  assert.match(stdout, /claimed at [\d.:]+ with 1 × NVIDIA/);
  assert.match(stdout, 'the instance is active');
  const [later, refused] = await Promise.all([
    world.chutesMiner([...command, '--cursor', new Date(world.clock.now() + 3_600_000).toISOString().slice(0, 19)]),
    world.chutesMiner(['instance-logs', '--jwt', 'forged', '--validator-api', world.validator.url]),
  ]);
  assert.equal([later.code, later.stdout.trim()], [0, ''], later.output);
  assert.is(refused.code, 1);
  assert.match(refused.output, '401');
});

test('local-inventory lists what runs on each server', async () => {
  const rows = [...(await atWork()).values()].flat();
  const { code, stdout } = await world.chutesMiner(['local-inventory', ...world.toMiner]);
  assert.is(code, 0);
  assert.match(stdout, 'Active Deployments');
  assert.match(stdout, /│\s*Active\s*│/);
  assert.ok(rows.length > 1);
});

test('purge-deployment removes the one that is named, and wants exactly one name', async () => {
  const row = [...(await atWork()).values()].flat().find(({ active }) => active) as DeploymentRow;
  const purge = (...more: string[]) => world.chutesMiner(['purge-deployment', ...more, ...world.toMiner]);
  const [{ code, stdout }, neither, unknown] = [
    await purge('-d', row.deployment_id),
    await purge(),
    await purge('-d', 'x'),
  ];
  assert.is(code, 0);
  const answer = JSON.parse(stdout);
  assert.equal([answer.status, answer.deployment_purged.deployment_id], ['initiated', row.deployment_id]);
  assert.equal([neither.code, unknown.code], [1, 1]);
  await areGone([row]);
});

for (const [command, flag, which] of [
  ['purge-deployment', '-n', first],
  ['purge-server', '-n', second],
] as const) {
  test(`${command} ${flag} removes what runs on that server`, async () => {
    await atWork();
    const { name } = which();
    const rows = await rowsOf(name);
    const { code, stdout, output } = await world.chutesMiner([command, flag, name, ...world.toMiner]);
    assert.is(code, 0, output);
    const answer = JSON.parse(stdout);
    assert.is(answer.status, 'initiated');
    for (const row of answer.deployments_purged) assert.equal([row.server_name, row.gpu_count], [name, 1]);
    assert.ok(answer.deployments_purged.length > 0);
    await areGone(rows);
  });
}

test('purge-deployments removes everything, and the miner starts again', async () => {
  const before = [...(await atWork()).values()].flat();
  const { code, stdout } = await world.chutesMiner(['purge-deployments', ...world.toMiner]);
  assert.is(code, 0);
  const { deployments_purged: purged } = JSON.parse(stdout);
  assert.ok(purged.length > 0);
  await areGone(before);
  await atWork();
});

test.run();
