// The program as a process, against a whole miner with a simulated validator and cluster: a server's life from add-node to delete-node.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { runAll } from '@miner/controller/roles/all.ts';
import { openFolder } from '@miner/simulator/demo/folder.ts';
import { parseOptions } from '@miner/simulator/demo/options.ts';
import { minerYaml, prepareRun } from '@miner/simulator/demo/runstate.ts';
import { type DemoWorld, startWorld } from '@miner/simulator/demo/world.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

interface Context {
  world: DemoWorld;
  miner: Awaited<ReturnType<typeof runAll>>;
  name: string;
  validatorHotkey: string;
  repository: string;
  folder: string;
  cli(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL('../bin/chutes-miner.mjs', import.meta.url));
const test = suite<Context>('against a miner');

test.before(async (context) => {
  const parent = mkdtempSync(join(tmpdir(), 'cli-miner-'));
  const folder = await openFolder(join(parent, 'run'));
  const { state, clockEpoch } = await prepareRun(parseOptions(['--servers', '1', '--speed', '120']), folder);
  folder.writeMinerYaml(minerYaml(folder, state));
  const world = await startWorld(folder, state, clockEpoch);
  const miner = await runAll({
    dir: folder.path,
    hotkeyFile: folder.hotkeyFile,
    template: folder.template,
    port: 0,
    clockSpeed: state.speed,
    clockEpoch,
    log: pino({ level: 'silent' }),
  });
  const env = {
    ...process.env,
    HOTKEY: folder.hotkeyFile,
    MINER_API: miner.url,
    VALIDATOR_API: world.validator.url,
    HOME: parent,
    NO_COLOR: '1',
    COLUMNS: '200',
  };
  function cli(...args: string[]): ReturnType<Context['cli']> {
    const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  }
  Object.assign(context, {
    world,
    miner,
    name: world.servers[0]?.name ?? '',
    validatorHotkey: folder.validator.address,
    repository: folder.repository,
    folder: parent,
    cli,
    async close() {
      await miner.stop();
      await world.close();
      await folder.release();
      rmSync(parent, { recursive: true, force: true });
    },
  });
});

test.after((context) => context.close());

function headOf(repository: string, branch: string): string {
  return execFileSync('git', ['-C', repository, 'rev-parse', branch], { encoding: 'utf8' });
}

async function until<T>(look: () => Promise<T | undefined>, what: string, timeoutMs = 60_000): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`not seen within ${timeoutMs} ms: ${what}`);
}

test('a short ref that the validator does not know ends add-node with a failure and its code', async (context) => {
  const { cli, name, validatorHotkey, world } = context;
  const agent = world.cluster.agentUrl(name);
  const options = ['--name', name, '--validator', validatorHotkey, '--hourly-cost', '1', '--agent-api', agent];
  const { code, stderr } = await cli('add-node', ...options, '--gpu-short-ref', 'nosuchgpu');
  assert.is(code, 1, stderr);
  assert.match(stderr, /\[E-GPU-REF\]/);
});

test('add-node streams to the end and node list shows the verified server', async (context) => {
  const { cli, name, validatorHotkey, world } = context;
  const [server] = world.servers;
  assert.ok(server);
  const added = await cli(
    ...['add-node', '--name', name, '--validator', validatorHotkey, '--hourly-cost', String(server.hourlyCost)],
    ...['--gpu-short-ref', server.gpuShortRef, '--agent-api', world.cluster.agentUrl(name)],
  );
  assert.is(added.code, 0, added.stderr);
  assert.match(added.stdout, /completed server bootstrapping in \d+ seconds!\n$/);
  const listed = await cli('node', 'list');
  assert.match(listed.stdout, new RegExp(`^NAME .*\\n${name} +.* ${server.gpuShortRef} `));
  assert.match(listed.stdout, new RegExp(`${server.gpuCount}/${server.gpuCount}`));
});

test('adding it again is a conflict', async ({ cli, name, validatorHotkey, world }) => {
  const { code, stderr } = await cli(
    ...['node', 'add', name, '--validator', validatorHotkey, '--hourly-cost', '1'],
    ...['--gpu-short-ref', world.servers[0]?.gpuShortRef ?? '', '--agent-api', world.cluster.agentUrl(name)],
  );
  assert.is(code, 5, stderr);
  assert.match(stderr, /\[E-ALREADY-ADDED\]/);
});

test('both inventories agree, and doctor finds nothing to fail', async ({ cli, name, repository }) => {
  assert.match((await cli('local-inventory')).stdout, new RegExp(`Server: ${name}\\n`));
  assert.match((await cli('remote-inventory')).stdout, new RegExp(`Server: ${name}\\n`));
  const diff = await cli('inventory', 'diff');
  assert.is(diff.code, 0, diff.stdout);
  const doctor = await cli('doctor', '--repo', repository);
  assert.is(doctor.code, 0, doctor.stdout);
  assert.match(doctor.stdout, /ok {4}repository branch live/);
});

test('lock and unlock change what is shown', async ({ cli, name }) => {
  assert.is((await cli('lock', '--name', name)).stdout, `Server ${name} lock status is now: True\n`);
  assert.match((await cli('node', 'show', name)).stdout, /Locked +│ Yes/);
  assert.is((await cli('unlock', '--name', name)).stdout, `Server ${name} lock status is now: False\n`);
});

test('sync-kubeconfig and sync-node-kubeconfig give access to the server, and agree', async ({
  cli,
  name,
  world,
  folder,
}) => {
  const path = join(folder, 'kubeconfig');
  const synced = await cli('sync-kubeconfig', '--yes', '--path', path);
  assert.is(synced.code, 0, synced.stderr);
  assert.match(readFileSync(path, 'utf8'), new RegExp(`name: ${name}\\n`));
  assert.is(statSync(path).mode & 0o777, 0o600);
  const agent = ['--agent-api', world.cluster.agentUrl(name), '--context-name', name];
  const fromAgent = await cli('sync-node-kubeconfig', ...agent, '--yes', '--path', path);
  assert.is(fromAgent.code, 0, fromAgent.stderr);
});

test('plan --dry-run tells what would be decided and decides nothing', async ({ cli, repository }) => {
  const before = headOf(repository, 'live');
  const { code, stdout, stderr } = await cli('plan', '--dry-run', '-o', 'json');
  assert.is(code, 0, stderr);
  assert.ok(Array.isArray(JSON.parse(stdout).decisions));
  assert.is(headOf(repository, 'live'), before);
  assert.is((await cli('plan')).code, 2);
});

test('a deployment that was decided is in status and list, why explains it, and purge removes it', async (context) => {
  const { cli, name, world } = context;
  const chute = world.validator.chutes().find((one) => {
    const fits = one.gpuCount === 1 && one.supportedGpus.includes(world.servers[0]?.gpuShortRef ?? '');
    return fits && one.isPublic && !one.jobOnly && !one.disabled && one.own === 0 && needsLaunchToken(one);
  });
  assert.ok(chute);
  world.validator.setOthers(chute.chuteId, 0);
  world.validator.setTarget(chute.chuteId, 1);
  world.validator.openBounty(chute.chuteId);
  const id = await until(async () => {
    const { stdout } = await cli('deployments', 'list', '-o', 'name');
    return stdout.trim().split('\n')[0] || undefined;
  }, 'a deployment');
  assert.match(
    (await cli('status')).stdout,
    new RegExp(`deployments +1 [\\s\\S]*deploy ${chute.name} on ${name}: bounty`),
  );
  for (const subject of [id, id.slice(0, 8), chute.chuteId, name]) {
    const { code, stdout, stderr } = await cli('why', subject);
    assert.is(code, 0, stderr);
    assert.match(stdout, new RegExp(`deploy ${chute.name} on ${name} \\(\\+1 → 1\\): bounty`), subject);
    assert.match(stdout, /numbers +\S+ [\d.]+/);
    assert.match(stdout, /commit +[0-9a-f]{40}/);
  }
  const unasked = await cli('purge-deployment', '-d', id);
  assert.is(unasked.code, 2, 'nobody is at the keyboard');
  const purged = await cli('purge-deployment', '-d', id, '--yes');
  assert.is(purged.code, 0, purged.stderr);
  assert.match(purged.stdout, /"status": "initiated"/);
  await until(async () => {
    const { stdout } = await cli('deployments', 'list', '-o', 'name');
    return stdout.includes(id) ? undefined : true;
  }, 'the deployment is gone');
});

test('delete-node takes the server out on both sides', async ({ cli, name }) => {
  const { code, stdout } = await cli('delete-node', '--name', name, '--yes');
  assert.is(code, 0);
  assert.match(stdout, /"status": "started"/);
  await until(async () => ((await cli('node', 'list', '-o', 'name')).stdout === '' ? true : undefined), 'no server');
  await until(
    async () => ((await cli('remote-inventory', '-o', 'name')).stdout === '' ? true : undefined),
    'no remote',
  );
  assert.is((await cli('node', 'show', name)).code, 4);
  assert.is((await cli('inventory', 'diff')).code, 0);
});

test.run();
