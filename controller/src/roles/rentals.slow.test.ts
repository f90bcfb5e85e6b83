// Whole rentals with the simulated validator and cluster: from the offer to its end, through a failed launch, and across a restart.

import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import type { ChuteView } from '@miner/simulator/validator/views.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type RunningMiner, runAll } from './all.ts';
import { addServer, git, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface Context {
  scene: Scene;
  miner: RunningMiner;
  api: MinerApi;
  start(): Promise<void>;
}

const rentals = suite<Context>('rentals');

rentals.before(async (context) => {
  const scene = await startScene(1);
  const { folder, clockEpoch, speed } = scene;
  Object.assign(context, {
    scene,
    async start() {
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
    },
  });
  await context.start();
});

rentals.after(async ({ miner, scene }) => {
  await miner.stop();
  await scene.close();
});

/** A chute of the market for rentals with ports of their own, that the only server suits. */
function rentable({ scene: { world } }: Context): ChuteView {
  const [server] = world.servers;
  const found = world.validator
    .chutes()
    .find((one) => one.jobOnly && one.gpuCount === 1 && one.supportedGpus.includes(server?.gpuShortRef ?? ''));
  if (!found) throw new Error('no chute for rentals');
  return found;
}

function liveFiles({ scene: { folder } }: Context): string {
  return git(folder.repository, 'ls-tree', '-r', '--name-only', 'live', 'chutes').trim();
}

async function heardOffers({ miner }: Context): Promise<number> {
  const text = await (await fetch(`${miner.url}/metrics`)).text();
  return Number(/^miner_events_handled_total\{reason="job_created"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

function violations({ scene: { world } }: Context): unknown[] {
  return [...world.validator.stats().violations, ...world.cluster.violations()];
}

rentals(
  'an offer that was heard before a restart is taken once there is room, and runs to its end',
  async (context) => {
    const { world } = context.scene;
    const chute = rentable(context);
    await until(
      async () => (await statusOf(context)).validators.some(({ feedsAt, connected }) => feedsAt && connected),
      'connected',
    );
    await addServer(context.api, context.scene);
    const name = world.servers[0]?.name;
    await context.api.get(`/servers/${name}/lock`);
    const jobId = world.validator.createJob({ chuteId: chute.chuteId, durationSeconds: 1200 });
    await until(async () => (await heardOffers(context)) === 1, 'the offer is heard');
    await context.miner.stop();
    await context.start();
    await context.api.get(`/servers/${name}/unlock`);
    const row = await until(
      async () => (await statusOf(context)).deployments.find((one) => one.jobId === jobId && one.phase === 'active'),
      'the rental is active',
    );
    const manifest = git(context.scene.folder.repository, 'show', `live:chutes/${row.server}/${row.deploymentId}.yaml`);
    assert.match(manifest, `chutes/job-id: ${jobId}`);
    assert.match(manifest, /CHUTES_PORT_TCP_2202/);
    assert.is(world.validator.stats().activeInstances, 1);
    await until(() => liveFiles(context) === '', 'its manifest left git', 60_000);
    assert.match(git(context.scene.folder.repository, 'log', '-1', '--format=%B', 'live'), /Reason: instance-deleted/);
    await until(() => Object.values(world.cluster.stats().pods).every((count) => count === 0), 'its pod is gone');
    assert.equal(violations(context), []);
  },
);

rentals(
  'a rental whose launch failed is removed and released, and not asked for again, also after a restart',
  async (context) => {
    const { world, folder } = context.scene;
    const chute = rentable(context);
    world.cluster.failLaunches({ chuteId: chute.chuteId }, 1);
    const before = await heardOffers(context);
    const jobId = world.validator.createJob({ chuteId: chute.chuteId });
    // The second offer follows from the release.
    await until(async () => (await heardOffers(context)) === before + 2, 'the rental is on offer again', 60_000);
    await until(() => liveFiles(context) === '', 'the failed launch left git');
    assert.match(git(folder.repository, 'log', '-1', '--format=%B', 'live'), /Reason: pod-failed/);
    const head = git(folder.repository, 'rev-parse', 'live');
    await context.miner.stop();
    await context.start();
    await until(async () => (await statusOf(context)).servers[0]?.health === 'healthy', 'the member is watched again');
    // A later rental is taken, so the passes have looked at the earlier one too.
    const next = world.validator.createJob({ chuteId: chute.chuteId });
    await until(
      async () => (await statusOf(context)).deployments.some((one) => one.jobId === next && one.phase === 'active'),
      'the next rental',
      60_000,
    );
    const log = git(folder.repository, 'log', '--format=%B', `${head.trim()}..live`);
    assert.is(log.match(/^deploy /gm)?.length, 2, log);
    assert.is((await statusOf(context)).deployments.filter((one) => one.jobId === jobId).length <= 1, true);
    assert.equal(violations(context), []);
  },
);

rentals('a rental that excludes this miner is left alone', async (context) => {
  const { world, folder } = context.scene;
  const chute = rentable(context);
  const before = await heardOffers(context);
  const [running] = (await statusOf(context)).deployments.filter((one) => one.phase === 'active');
  assert.ok(running?.instanceId);
  world.validator.createJob({ chuteId: chute.chuteId, exclude: [folder.miner.address] });
  await until(async () => (await heardOffers(context)) === before + 1, 'the offer is heard');
  world.validator.terminateInstance(running.instanceId, 'the customer left');
  await until(() => Object.values(world.cluster.stats().pods).every((count) => count === 0), 'the GPU is free');
  const status = await until(async () => {
    const now = await statusOf(context);
    return now.deployments.every(({ phase }) => phase === 'gone') ? now : undefined;
  }, 'the miner knows that it is free');
  assert.ok(status.servers[0]);
  assert.is(liveFiles(context), '');
  assert.equal(violations(context), []);
});

rentals.run();
