// What is lost and made good, and what nobody may ever find.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import * as assert from 'uvu/assert';
import { git } from '../bootstrap.ts';
import { applicationOf, filesOnLive, type Scene, type Suite, satisfied, until, untilSynced } from '../scene.ts';
import { activeOn, nameOf, spentAgain } from '../words.ts';

/** Every text below a folder, but the databases' own files. */
function* textsBelow(folder: string): Generator<[path: string, text: string]> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* textsBelow(path);
    else if (/\.log$/.test(entry.name) && statSync(path).size < 2 ** 28) yield [path, readFileSync(path, 'utf8')];
  }
}

/** All objects of a repository, also those that no branch names. */
function gitText(gitdir: string): string {
  const list = execFileSync('git', ['-C', gitdir, 'cat-file', '--batch-all-objects', '--batch'], {
    maxBuffer: 2 ** 29,
  });
  return list.toString('latin1');
}

async function redisText(url: string): Promise<string> {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    const texts: string[] = [];
    for (const key of await redis.keys('*')) {
      texts.push(key);
      const kind = await redis.type(key);
      if (kind === 'string') texts.push((await redis.getBuffer(key))?.toString('latin1') ?? '');
      else if (kind === 'hash') texts.push(JSON.stringify(await redis.hgetall(key)));
      else if (kind === 'stream') texts.push(JSON.stringify(await redis.xrange(key, '-', '+')));
    }
    return texts.join('\n');
  } finally {
    redis.disconnect();
  }
}

async function eventsText(scene: Scene): Promise<string> {
  const planes = [scene.fleet.control, ...scene.fleet.servers.map(({ plane }) => plane)];
  const lists = await Promise.all(planes.map(({ kube }) => kube.list('v1/events')));
  return JSON.stringify(lists);
}

const launchToken = /eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/;

export function recovering(test: Suite): void {
  test('after a commit Argo CD looks at once, and only at the Applications that it changes', async (scene) => {
    const [here, elsewhere] = [nameOf(scene, 0), nameOf(scene, 1)];
    const { gitdir } = scene.fleet.git;
    const lastChange = () => git(gitdir, 'log', '-1', '--format=%H %ct', 'live', '--', `chutes/${elsewhere}`);

    /** Undefined when the planner itself had something to do on the other server meanwhile. */
    async function reconciledMeanwhile(): Promise<[unknown, unknown] | undefined> {
      // What happened before this test may still be on its way; each hint is given twice.
      await until('nothing changed on the other server for ten seconds', () => {
        return Date.now() / 1000 - Number(lastChange().split(' ')[1] ?? 0) > 10;
      });
      await untilSynced(scene, `chutes-${elsewhere}`);
      const [last, before] = [lastChange(), await applicationOf(scene, `chutes-${elsewhere}`)];
      const deployment = await activeOn(scene, here);
      const found = await untilSynced(scene, `chutes-${here}`);
      assert.ok(filesOnLive(scene).some((path) => path.includes(deployment.deploymentId)));
      assert.ok(found.status?.reconciledAt);
      const after = await applicationOf(scene, `chutes-${elsewhere}`);
      satisfied(scene, deployment.chuteId);
      if (lastChange() !== last) return undefined;
      assert.is(after?.metadata.annotations?.['argocd.argoproj.io/refresh'], undefined);
      return [before?.status?.reconciledAt, after?.status?.reconciledAt];
    }

    const [before, after] = (await reconciledMeanwhile()) ?? (await reconciledMeanwhile()) ?? [];
    assert.ok(before, 'the planner had something to do on the other server twice');
    assert.is(after, before, 'nobody asked for the other one');
  });

  test('a database that is dropped comes back from git, the clusters and the validator, and nothing is removed', async (scene) => {
    const { miner, fleet } = scene;
    const deployment = await activeOn(scene, nameOf(scene, 0));
    const [before, again] = [filesOnLive(scene), spentAgain(scene)];
    await Promise.all([miner.gepetto.stop(), miner.controller.stop()]);
    const sql = postgres(fleet.postgres.url, { max: 1, onnotice: () => undefined });
    await sql
      .unsafe('drop schema public cascade; create schema public; drop schema if exists drizzle cascade')
      .finally(() => sql.end());
    miner.controller.start();
    miner.gepetto.start();
    const back = await until('inventory and deployment are known again', async () => {
      const status = await miner.status().catch(() => undefined);
      const row = status?.deployments.find(({ deploymentId }) => deploymentId === deployment.deploymentId);
      return status?.servers.length === fleet.servers.length && row?.phase === 'active' && status;
    });
    assert.ok(back.servers.every(({ health }) => health === 'healthy'));
    for (const path of before) assert.ok(filesOnLive(scene).includes(path), path);
    await until('no launch token more was spent', () => spentAgain(scene) <= again);
    satisfied(scene, deployment.chuteId);
  });

  test('a stranger who empties live with a force push ends no instance, and it is told how to bring it back', async (scene) => {
    const { miner, fleet } = scene;
    const deployment = await activeOn(scene, nameOf(scene, 0));
    const good = git(fleet.git.gitdir, 'rev-parse', 'live');
    await fleet.argocd.kill();
    const person = miner.person('live');
    git(person, 'checkout', '--quiet', '--orphan', 'stranger');
    git(person, 'rm', '--quiet', '-rf', '.');
    git(person, 'commit', '--quiet', '--allow-empty', '-m', 'mine now');
    git(person, 'push', '--quiet', '--force', 'origin', 'stranger:live');
    const told = await until('it is told', async () => {
      const { held } = await miner.status();
      const ready = (await (await fetch(`${miner.gepettoUrl}/readyz`)).json()) as { parts: { detail?: string }[] };
      const words = [...held, ...ready.parts.map(({ detail }) => detail ?? '')].join('\n');
      return words.includes(good) && words;
    });
    assert.match(told, /push|git/);
    assert.is(
      (
        await until('the instance still runs', async () =>
          (await miner.status()).deployments.find(({ deploymentId }) => deploymentId === deployment.deploymentId),
        )
      ).phase,
      'active',
    );
    git(person, 'push', '--quiet', '--force', 'origin', `${good}:refs/heads/live`);
    await fleet.argocd.start();
    await until('decisions go on', async () => (await fetch(`${miner.gepettoUrl}/readyz`)).ok);
    satisfied(scene, deployment.chuteId);
  });

  test('seed and launch tokens are in no commit, no cache of Argo CD, no event, no log and no Redis', async (scene) => {
    const { fleet, miner, dir } = scene;
    const places: [string, string][] = [
      ['the git host', gitText(fleet.git.gitdir)],
      ["Argo CD's Redis", await redisText(fleet.argocd.redisUrl)],
      ['the Redis of the miner', await redisText(fleet.redis.url.replace('://', `://:${fleet.redisPassword}@`))],
      ['the events of the clusters', await eventsText(scene)],
      ...textsBelow(dir),
    ];
    assert.ok(places.length > 10, `${places.length} places`);
    for (const [where, text] of places) {
      assert.not.ok(text.includes(fleet.seed), `the seed is in ${where}`);
      assert.not.ok(text.includes(miner.linkToken), `the link token is in ${where}`);
      const found = launchToken.exec(text)?.[0];
      assert.is(found, undefined, `a token is in ${where}`);
    }
  });
}
