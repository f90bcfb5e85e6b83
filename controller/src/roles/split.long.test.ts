// Controller and Gepetto as in production: apart, with a real PostgreSQL and a real Redis between them, and what becomes of that when one of
// the parts goes away.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { startRedis, type TestRedis } from '../../test/redis.ts';
import { type ServedController, serveController } from './serve-controller.ts';
import { type ServedGepetto, serveGepetto } from './serve-gepetto.ts';
import { addServer, coldChute, git, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface Context {
  scene: Scene;
  postgres: TestPostgres;
  redis: TestRedis;
  controller: ServedController;
  gepetto: ServedGepetto;
  api: MinerApi;
  startController(port: number, linkPort: number): Promise<void>;
  startGepetto(): Promise<void>;
}

interface Readiness {
  status: string;
  parts: { part: string; ok: boolean; detail?: string }[];
}

const split = suite<Context>('split');
const log = pino({ level: 'silent' });

split.before(async (context) => {
  const [scene, postgres, redis] = await Promise.all([startScene(1), startPostgres(), startRedis({ password: 'pw' })]);
  const { folder } = scene;
  function secret(name: string, text: string): string {
    const path = join(folder.path, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  }
  const shared = {
    repository: folder.repository,
    template: folder.template,
    'postgres-file': secret('postgres-url', postgres.url),
    'redis-file': secret('redis-url', redis.url.replace('redis://', 'redis://:pw@')),
    'link-token-file': secret('link-token', 'a-token-of-this-test'),
    host: '127.0.0.1',
  };
  Object.assign(context, {
    scene,
    postgres,
    redis,
    async startController(port: number, linkPort: number) {
      const ports = { port: String(port), 'link-host': '127.0.0.1', 'link-port': String(linkPort) };
      context.controller = await serveController({ ...shared, ...ports, hotkey: folder.hotkeyFile }, log);
    },
    async startGepetto() {
      context.gepetto = await serveGepetto({ ...shared, port: '0', controller: context.controller.linkUrl }, log);
    },
  });
  await context.startController(0, 0);
  await context.startGepetto();
  context.api = createMinerApi(context.controller.url, folder.miner);
});

split.after(async ({ scene, postgres, redis, controller, gepetto }) => {
  // What did not start is what the test is told of.
  await gepetto?.stop();
  await controller?.stop();
  await Promise.all([postgres?.stop(), redis?.stop(), scene?.close()]);
});

async function readiness(url: string): Promise<Readiness> {
  return (await (await fetch(`${url}/readyz`)).json()) as Readiness;
}

/** Ask until `/readyz` names exactly the parts that are away. */
async function untilAway(url: string, ...away: string[]): Promise<void> {
  let seen: Readiness | undefined;
  await until(
    async () => {
      seen = await readiness(url);
      const failing = seen.parts.filter(({ ok }) => !ok).map(({ part }) => part.split(' ')[0] ?? '');
      return failing.join() === away.join() ? seen : undefined;
    },
    `${url} says that away is: ${away.join() || 'nothing'}`,
    60_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; last answer: ${JSON.stringify(seen)}`);
  });
}

async function wantOneMore({ scene: { world } }: Context): Promise<string> {
  const chute = await until(() => coldChute(world), 'a chute that fits and runs nowhere here', 60_000);
  world.validator.setOthers(chute.chuteId, 0);
  world.validator.setTarget(chute.chuteId, 1);
  await until(() => world.validator.openBounty(chute.chuteId) || undefined, 'a bounty may be opened again', 60_000);
  return chute.chuteId;
}

async function untilActive(context: Context, chuteId: string): Promise<string> {
  const row = await until(
    async () => (await statusOf(context)).deployments.find((one) => one.chuteId === chuteId && one.phase === 'active'),
    'the deployment is active',
    90_000,
  );
  return row.deploymentId;
}

split('a bounty becomes an active deployment, decided by Gepetto, launched by the controller', async (context) => {
  const { scene, api, controller, gepetto } = context;
  await untilAway(controller.url);
  await untilAway(gepetto.url);
  assert.match((await addServer(api, scene)).at(-1) ?? '', /completed server bootstrapping/);
  const chuteId = await wantOneMore(context);
  const deploymentId = await untilActive(context, chuteId);
  assert.match(git(scene.folder.repository, 'log', '--format=%B', 'live'), new RegExp(deploymentId));
  const exposed = await (await fetch(`${gepetto.url}/metrics`)).text();
  assert.match(exposed, /miner_decisions_total\{kind="deploy",reason="(bounty|scale-up)"\} [1-9]/);
});

split('a request of a person is carried out by Gepetto, and survives its restart', async (context) => {
  const { api, gepetto, scene } = context;
  const { deploymentId, chuteId } = (await statusOf(context)).deployments.find((one) => one.phase === 'active') ?? {};
  assert.ok(deploymentId && chuteId);
  scene.world.validator.setOthers(chuteId, 1);
  await gepetto.stop();
  await api.delete(`/deployments/${deploymentId}`);
  assert.match(git(scene.folder.repository, 'ls-tree', '-r', '--name-only', 'live'), new RegExp(deploymentId));
  await context.startGepetto();
  await until(
    () => !git(scene.folder.repository, 'ls-tree', '-r', '--name-only', 'live').includes(deploymentId),
    'the manifest left git',
  );
  assert.match(git(scene.folder.repository, 'log', '-1', '--format=%B', 'live'), /Reason: operator/);
});

split(
  'readiness tells that PostgreSQL is away; nothing is lost, and the work goes on when it is back',
  async (context) => {
    const { controller, gepetto, postgres } = context;
    let chuteId = '';
    await postgres.restart(async () => {
      await untilAway(controller.url, 'store');
      await untilAway(gepetto.url, 'store');
      chuteId = await wantOneMore(context);
    });
    await untilAway(controller.url);
    await untilAway(gepetto.url);
    await untilActive(context, chuteId);
  },
);

split('readiness tells that Redis is away; events go on through the journal', async (context) => {
  const { controller, gepetto, redis } = context;
  await redis.kill();
  try {
    await untilAway(controller.url, 'redis');
    await untilAway(gepetto.url, 'redis');
    await untilActive(context, await wantOneMore(context));
  } finally {
    await redis.start('empty');
  }
  await untilAway(controller.url);
  await untilAway(gepetto.url);
});

split('readiness tells that the validator is away, and nothing that runs is taken away meanwhile', async (context) => {
  const { controller, scene } = context;
  const before = git(scene.folder.repository, 'rev-parse', 'live');
  await scene.toValidator.cut();
  try {
    await untilAway(controller.url, 'validator');
    await new Promise((resolve) => setTimeout(resolve, 3000));
    assert.is(git(scene.folder.repository, 'rev-parse', 'live'), before);
  } finally {
    await scene.toValidator.mend();
  }
  await untilAway(controller.url);
});

split('a controller that is started again finds its inventory and is found by Gepetto', async (context) => {
  const { controller, gepetto, scene } = context;
  await controller.stop();
  const before = git(scene.folder.repository, 'rev-parse', 'live');
  await context.startController(Number(new URL(controller.url).port), Number(new URL(controller.linkUrl).port));
  await untilAway(context.controller.url);
  await untilAway(gepetto.url);
  const status = await until(async () => {
    const now = await statusOf(context);
    return now.servers[0]?.health === 'healthy' ? now : undefined;
  }, 'the member is watched again');
  assert.is(status.servers.length, 1);
  assert.is(git(scene.folder.repository, 'rev-parse', 'live'), before, 'nothing was removed or made anew');
  const violations = [...scene.world.validator.stats().violations, ...scene.world.cluster.violations()];
  // The person above wanted it young.
  const wanted = violations.filter(({ code }) => code === 'young-removed');
  assert.equal([wanted.length, violations.length], [1, 1]);
});

split.run();
