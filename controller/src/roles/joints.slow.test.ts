// Every joint of the chain, seen from both of its sides: validator event → decision → commit on live → applied → pod → claimed → active →
// seen by the miner. The feeds fall silent on the way, so that what the miner learns then can only have come by events.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import type { DemoWorld } from '@miner/simulator/demo/world.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStored } from '../store/contract/fixtures.ts';
import { openStore } from '../store/open.ts';
import { runAll } from './all.ts';
import { addServer, coldChute, git, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface Context {
  scene: Scene;
  world: DemoWorld;
  api: MinerApi;
  repository: string;
  close(): Promise<void>;
}

const joints = suite<Context>('joints');

joints.before(async (context) => {
  const scene = await startScene(1);
  const { folder, world, clockEpoch, speed } = scene;
  // Of a miner that ran before, more than a month ago.
  const store = await openStore({ dir: join(folder.path, 'db') });
  await store.saveDecisions([makeStored(1)]);
  await store.close();
  const miner = await runAll({
    dir: folder.path,
    hotkeyFile: folder.hotkeyFile,
    template: folder.template,
    port: 0,
    clockSpeed: speed,
    clockEpoch,
    log: pino({ level: 'silent' }),
  });
  async function close(): Promise<void> {
    await miner.stop();
    await scene.close();
  }
  const api = createMinerApi(miner.url, folder.miner);
  Object.assign(context, { scene, world, api, repository: folder.repository, close });
});

joints.after((context) => context.close());

joints(
  'a server is added through the signed API with streamed progress, and stands on main, in the store and at the validator',
  async (context) => {
    const { scene, world, api, repository } = context;
    const [server] = world.servers;
    assert.ok(server);
    const messages = await addServer(api, scene);
    assert.match(messages.at(-1) ?? '', /completed server bootstrapping in \d+ seconds/);
    assert.ok(messages.length > 5, 'progress comes step by step');
    assert.match(
      git(repository, 'show', `main:servers/${server.name}.yaml`),
      new RegExp(`hourlyCost: ${server.hourlyCost}`),
    );
    const status = await until(async () => {
      const now = await statusOf(context);
      return now.servers[0]?.health === 'healthy' ? now : undefined;
    }, 'the member is watched');
    assert.is(status.servers[0]?.gpusVerified, server.gpuCount);
    assert.is(status.deployments.length, 0, 'no chute has room yet');
  },
);

joints('decisions of more than a month ago are forgotten', async (context) => {
  await until(async () => (await statusOf(context)).decisions.length === 0, 'no decision is left');
});

joints('an event starts the chain, and events alone tell the miner how it ends', async (context) => {
  const { world, repository } = context;
  const { validator, cluster, servers } = world;
  const [server] = servers;
  const chute = coldChute(context.world);
  assert.ok(chute);
  validator.setOthers(chute.chuteId, 0);
  validator.setTarget(chute.chuteId, 1);
  assert.ok(validator.openBounty(chute.chuteId), 'event: bounty_change');

  const decision = await until(async () => (await statusOf(context)).decisions[0], 'a decision');
  // A round of the feeds that was under way may have seen the target and not yet the bounty.
  assert.match(decision.reason, /^(bounty|scale-up)$/);
  assert.ok(decision.commit, 'the decision is committed');
  // From here on the feeds say nothing any more.
  validator.setOutage('empty');

  const message = git(repository, 'log', '-1', '--format=%B', decision.commit);
  assert.match(message, new RegExp(`^Decision-Id: ${decision.decisionId}$`, 'm'));
  const deploymentId = /^Deployment-Id: (.+)$/m.exec(message)?.[1] ?? '';
  const path = `chutes/${server?.name}/${deploymentId}.yaml`;
  assert.match(git(repository, 'ls-tree', '-r', '--name-only', decision.commit), new RegExp(`^${path}$`, 'm'));
  const manifest = git(repository, 'show', `${decision.commit}:${path}`);
  assert.match(manifest, /chutes-miner\.io\/because: "?(bounty|scale-up); value /);

  const times = await until(() => {
    const now = cluster.stats().deployments[deploymentId];
    return now?.activatedAt === undefined ? undefined : now;
  }, 'activation in the cluster');
  const steps = [
    'syncedAt',
    'podCreatedAt',
    'pulledAt',
    'startedAt',
    'claimedAt',
    'verifiedAt',
    'activatedAt',
  ] as const;
  for (const [i, step] of steps.entries()) {
    const before = steps[i - 1];
    assert.type(times[step], 'number', `${step} happened`);
    if (before) assert.ok((times[before] ?? 0) <= (times[step] ?? 0), `${before} comes before ${step}`);
  }
  const instance = validator.stats();
  assert.is(instance.activeInstances, 1, 'the validator counts it');

  const row = await until(
    async () =>
      (await statusOf(context)).deployments.find((one) => one.deploymentId === deploymentId && one.phase === 'active'),
    'the miner sees it active, by events alone',
  );
  const [shown] = (await context.api.get('/deployments/')) as { chute: { name: string } }[];
  assert.is(shown?.chute.name, chute.name, 'the store remembers the chute');
  assert.ok(row.instanceId && row.claimedAt && row.verifiedAt && row.activatedAt && row.runningAt);
  validator.setOutage('none');
});

joints('the launch Secret is gone after activation', async ({ world }) => {
  const [server] = world.servers;
  const kubeconfig = world.cluster.kubeconfig(server?.name ?? '');
  const url = /server: (\S+)/.exec(kubeconfig)?.[1];
  const token = /token: (\S+)/.exec(kubeconfig)?.[1];
  await until(async () => {
    const response = await fetch(`${url}/api/v1/namespaces/chutes/secrets`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { items } = (await response.json()) as { items: { metadata: { name: string } }[] };
    return items.every(({ metadata }) => !metadata.name.startsWith('launch-'));
  }, 'no launch Secret left');
});

joints('a statement of the validator takes the deployment back, down to the pod', async (context) => {
  const { world, repository } = context;
  const { deploymentId, instanceId, chuteId } =
    (await statusOf(context)).deployments.find((one) => one.phase === 'active') ?? {};
  assert.ok(deploymentId && instanceId && chuteId);
  // Nobody wants the chute any more, or the miner would deploy it again at once.
  world.validator.setOthers(chuteId, 1);
  world.validator.terminateInstance(instanceId, 'scaled down');
  await until(
    () => !git(repository, 'ls-tree', '-r', '--name-only', 'live').includes(deploymentId),
    'the manifest left git',
  );
  assert.match(git(repository, 'log', '-1', '--format=%B', 'live'), /Reason: instance-deleted/);
  const { pods } = await until(() => {
    const stats = world.cluster.stats();
    return Object.values(stats.pods).every((count) => count === 0) ? stats : undefined;
  }, 'the pod is gone');
  assert.equal(new Set(Object.values(pods)), new Set([0]));
  await until(
    async () =>
      (await statusOf(context)).deployments.every((one) => one.deploymentId !== deploymentId || one.phase === 'gone'),
    'the miner sees it gone',
  );
  assert.equal([...world.validator.stats().violations, ...world.cluster.violations()], []);
});

/** A person's clone of `main`, and the way to commit and push what was changed in it. */
function cloneMain(repository: string) {
  const folder = mkdtempSync(join(tmpdir(), 'clone-'));
  function inClone(...args: string[]): void {
    const who = ['-c', 'user.name=p', '-c', 'user.email=p@x'];
    execFileSync('git', ['-C', folder, ...who, ...args], { stdio: 'pipe' });
  }
  inClone('clone', '-q', '--branch', 'main', repository, '.');
  return {
    folder,
    push(...commit: string[]) {
      inClone(...commit);
      inClone('push', '-q', 'origin', 'main');
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

joints('pausing by a commit on main stops new deployments until it is taken back', async (context) => {
  const { world, repository } = context;
  const clone = cloneMain(repository);
  try {
    const file = join(clone.folder, 'miner.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('mode: active', 'mode: paused'));
    clone.push('commit', '-qam', 'Pause');
    await until(async () => (await statusOf(context)).mode === 'paused', 'paused');
    const before = git(repository, 'rev-parse', 'live');
    const chute = coldChute(context.world);
    assert.ok(chute);
    world.validator.setTarget(chute.chuteId, chute.activeTotal + 1);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.is(git(repository, 'rev-parse', 'live'), before, 'nothing is deployed while paused');
    clone.push('revert', '--no-edit', 'HEAD');
    await until(async () => (await statusOf(context)).mode === 'active', 'active again');
  } finally {
    clone.remove();
  }
});

joints(
  'a server that is taken out of main by hand goes with its deployments, and planning goes on',
  async (context) => {
    const { world, repository } = context;
    const manifests = () => git(repository, 'ls-tree', '-r', '--name-only', 'live', 'chutes').trim();
    await until(async () => (await statusOf(context)).deployments.some(({ phase }) => phase === 'active'), 'one runs');
    const clone = cloneMain(repository);
    try {
      rmSync(join(clone.folder, `servers/${world.servers[0]?.name}.yaml`));
      clone.push('commit', '-qam', 'Remove the server');
      await until(async () => (await statusOf(context)).servers.length === 0, 'the inventory is empty');
      await until(() => manifests() === '', 'its manifests left git');
    } finally {
      clone.remove();
    }
  },
);

joints.run();
