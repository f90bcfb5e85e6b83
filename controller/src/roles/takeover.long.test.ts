// Two Gepettos as processes, with a real PostgreSQL and a real Redis: one decides, and when it is killed the other one goes on where it
// stopped.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { startRedis, type TestRedis } from '../../test/redis.ts';
import { type ServedController, serveController } from './serve-controller.ts';
import { addServer, coldChute, git, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface GepettoProcess {
  child: ChildProcess;
  url: string;
}

interface Context {
  scene: Scene;
  postgres: TestPostgres;
  redis: TestRedis;
  controller: ServedController;
  api: MinerApi;
  startGepetto(): Promise<GepettoProcess>;
  processes: GepettoProcess[];
}

const entry = fileURLToPath(new URL('../main.ts', import.meta.url));
const takeover = suite<Context>('takeover');
const log = pino({ level: 'silent' });

takeover.before(async (context) => {
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
  const ports = { port: '0', 'link-host': '127.0.0.1', 'link-port': '0' };
  const controller = await serveController({ ...shared, ...ports, hotkey: folder.hotkeyFile }, log);
  const processes: GepettoProcess[] = [];
  Object.assign(context, {
    scene,
    postgres,
    redis,
    controller,
    processes,
    api: createMinerApi(controller.url, folder.miner),
    async startGepetto(): Promise<GepettoProcess> {
      const options = Object.entries({ ...shared, port: '0', controller: controller.linkUrl });
      const args = [entry, 'gepetto', ...options.flatMap(([name, value]) => [`--${name}`, value])];
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const started = { child, url: '' };
      processes.push(started);
      for await (const line of createInterface(child.stdout)) {
        const said = JSON.parse(line) as { msg: string; url?: string };
        if (said.msg !== 'gepetto is up') continue;
        started.url = said.url ?? '';
        break;
      }
      child.stdout.resume();
      return started;
    },
  });
});

takeover.after(async ({ scene, postgres, redis, controller, processes }) => {
  for (const { child } of processes ?? []) child.kill('SIGKILL');
  await controller?.stop();
  await Promise.all([postgres?.stop(), redis?.stop(), scene?.close()]);
});

interface Answer {
  status: string;
  lease?: { held: boolean };
}

async function holds({ url }: GepettoProcess): Promise<boolean> {
  const answer = (await (await fetch(`${url}/readyz`)).json()) as Answer;
  return answer.lease?.held === true;
}

async function oneMore({ scene: { world }, api }: Context): Promise<void> {
  const chute = await until(() => coldChute(world), 'a chute that fits and runs nowhere here', 60_000);
  world.validator.setOthers(chute.chuteId, 0);
  world.validator.setTarget(chute.chuteId, 1);
  await until(() => world.validator.openBounty(chute.chuteId) || undefined, 'a bounty may be opened again', 60_000);
  await until(
    async () =>
      (await statusOf({ api })).deployments.some((one) => one.chuteId === chute.chuteId && one.phase === 'active') ||
      undefined,
    'the deployment is active',
    90_000,
  );
}

takeover(
  'of two processes one decides; killed, the other one takes over, and no decision is made twice',
  async (context) => {
    const { scene, api, controller } = context;
    const first = await context.startGepetto();
    const second = await context.startGepetto();
    assert.equal(await Promise.all([first, second].map(holds)), [true, false]);
    assert.match((await addServer(api, scene)).at(-1) ?? '', /completed server bootstrapping/);
    await oneMore(context);
    assert.equal(await Promise.all([first, second].map(holds)), [true, false]);

    const killed = once(first.child, 'exit');
    first.child.kill('SIGKILL');
    await killed;
    await until(() => holds(second), 'the other one holds the lease', 60_000);
    // What the first one would do if it came back: it stands by.
    const third = await context.startGepetto();
    assert.equal(await Promise.all([second, third].map(holds)), [true, false]);
    await oneMore(context);

    const messages = git(scene.folder.repository, 'log', '--format=%(trailers:key=Decision-Id,valueonly)', 'live');
    const decisions = messages.split('\n').filter(Boolean);
    assert.ok(decisions.length >= 2);
    assert.is(new Set(decisions).size, decisions.length, 'each decision is in one commit');
    // A commit that was being made when its process was killed belongs to nothing.
    assert.is(git(scene.folder.repository, 'fsck', '--strict', '--no-dangling'), '');

    const ended = once(second.child, 'exit');
    second.child.kill('SIGTERM');
    assert.equal(await ended, [0, null]);
    await until(() => holds(third), 'a stop hands the lease over', 60_000);
    assert.is((await fetch(`${controller.url}/healthz`)).status, 200);
  },
);

takeover.run();
