// The command line that miners have, unmodified, against this miner: its deployments and what their instances log.

import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { decodeJwt } from 'jose';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { SimulatedServer } from '../cluster/cluster.ts';
import { addServers, type DeploymentRow, git, inventory, remoteInstances } from './effects.ts';
import { upstreamCli } from './install.ts';
import { eventually, startUpstreamWorld, type UpstreamWorld } from './world.ts';

const cli = await upstreamCli();
const test = suite(`chutes-miner-cli ${cli.version} on Python ${cli.python}, deployments`);
let world: UpstreamWorld;

const [first, second] = [() => world.servers[2] as SimulatedServer, () => world.servers[3] as SimulatedServer];

/** Deployments by server name. */
async function deployments(): Promise<Map<string, DeploymentRow[]>> {
  return new Map((await inventory(world)).map(({ name, deployments: rows }) => [name, rows]));
}

async function rowsOf(name: string): Promise<DeploymentRow[]> {
  return (await deployments()).get(name) ?? [];
}

function liveIds(): string[] {
  const paths = git(world, 'ls-tree', '-r', '--name-only', 'live');
  return [...paths.matchAll(/([0-9a-f-]{36})\.yaml/g)].map(([, id]) => id ?? '');
}

/** Gone from the inventory, from git, and their instances from the validator. */
async function areGone(rows: readonly DeploymentRow[]): Promise<void> {
  const ids = rows.map(({ deployment_id }) => deployment_id);
  await eventually(`end of ${ids.join(' ')}`, async () => {
    const shown = [...(await deployments()).values()].flat().map(({ deployment_id }) => deployment_id);
    const instances = (await remoteInstances(world)).map((item) => item.instance_id);
    const left = ids.filter((id) => shown.includes(id) || liveIds().includes(id));
    const running = rows.filter(({ instance_id }) => instance_id !== null && instances.includes(instance_id));
    return left.length + running.length === 0 ? true : undefined;
  });
}

/** Every server has some, and one of them is active. */
function atWork(): Promise<Map<string, DeploymentRow[]>> {
  let found = new Map<string, DeploymentRow[]>();
  return eventually(
    'deployments on both servers',
    async () => {
      found = await deployments();
      const each = [first(), second()].map(({ name }) => found.get(name) ?? []);
      return each.every((rows) => rows.length > 0) && each.flat().some(({ active }) => active) ? found : undefined;
    },
    () =>
      [...found].map(([name, rows]) => `${name}: ${rows.length}, ${rows.filter((row) => row.active).length} active`),
  );
}

test.before(async () => {
  world = await startUpstreamWorld(cli, 4);
  await addServers(world, [first(), second()]);
  const fitting = world.validator
    .chutes()
    .filter((chute) => chute.gpuCount === 1 && chute.isPublic && !chute.jobOnly && !chute.disabled)
    .filter((chute) => needsLaunchToken(chute))
    .filter(({ supportedGpus: refs }) => [first(), second()].every(({ gpuShortRef }) => refs.includes(gpuShortRef)));
  // As many as there are GPUs.
  for (const chute of fitting.slice(0, 4)) world.validator.setTarget(chute.chuteId, chute.activeTotal + 2);
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
    return (await remoteInstances(world)).find((item) => item.config_id === sub);
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
