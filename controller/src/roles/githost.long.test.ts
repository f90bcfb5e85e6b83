// What Gepetto makes of a git host that fails, and of people who push to it.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { git } from '../clusterrepo/testing/testrepo.ts';
import { atGitHost, chuteOf, filesOn, type GitScene, idOf, rowOf, untilDeployed } from './testing/gitscene.ts';
import { until } from './testing/scene.ts';

const [first, second, third] = [chuteOf(1), chuteOf(2), chuteOf(3)];

function pushPolicy(scene: GitScene, policy: string): void {
  const person = scene.person('main');
  const path = join(person, 'miner.yaml');
  writeFileSync(path, `${readFileSync(path, 'utf8').replace(/^policy:.*\n/m, '')}policy: ${policy}\n`);
  git(person, 'commit', '--quiet', '-am', `policy ${policy}`);
  git(person, 'push', '--quiet', 'origin', 'main');
}

test('while the host is away nothing is launched, it is told since when, and the work goes on when it is back', async () => {
  await atGitHost(async (scene) => {
    scene.list(first);
    await untilDeployed(scene, 1);
    await scene.host.down();
    await until(() => scene.repo.health()?.ok === false || undefined, 'it is noticed');
    scene.list(first, second);
    await until(() => scene.held().some((line) => /until git answers/.test(line)) || undefined, 'it is held back');
    const { ok, since = 0, detail } = scene.repo.health() ?? {};
    assert.is(ok, false);
    assert.ok(since > 0 && since <= Date.now());
    assert.match(detail ?? '', scene.host.url);
    assert.is(scene.launches(), 1);
    await scene.host.start();
    await untilDeployed(scene, 2);
    assert.is(scene.launches(), 2);
    await until(() => scene.repo.health()?.ok || undefined, 'git is well');
  });
});

test('a push that the host takes after nobody waited any more is found, recorded, and costs no second token', async () => {
  await atGitHost(async (scene) => {
    scene.host.fault = { kind: 'late', ms: 5_000 };
    scene.list(first);
    const [path = ''] = await untilDeployed(scene, 1);
    scene.host.fault = { kind: 'none' };
    const id = idOf(path);
    await until(async () => (await rowOf(scene, id))?.committedAt, 'it is recorded', 60_000);
    const [stored] = await until(async () => {
      const rows = await scene.store.decisions(1, { deploymentId: id });
      return rows.length > 0 ? rows : undefined;
    }, 'its decision is kept');
    assert.match(git(scene.host.gitdir, 'ls-tree', '-r', '--name-only', stored?.commit ?? ''), id);
    assert.equal([scene.launches(), [...scene.secrets]], [1, [id]]);
  });
});

test('a host that takes pushes and loses every answer loses no decision and makes none twice', async () => {
  await atGitHost(async (scene) => {
    scene.host.fault = { kind: 'lose-answer' };
    scene.list(first, second, third);
    await untilDeployed(scene, 3);
    scene.host.fault = { kind: 'none' };
    await until(async () => (await scene.store.decisions(10)).length === 3 || undefined, 'all are recorded', 60_000);
    assert.is(scene.launches(), 3);
    assert.is(scene.secrets.size, 3);
  });
});

test('a deploy that a person reverts goes, and is not made again on that server, also after a restart', async () => {
  await atGitHost(async (scene) => {
    scene.list(first);
    const [path = ''] = await untilDeployed(scene, 1);
    const id = idOf(path);
    await until(async () => (await scene.store.decisions(1, { deploymentId: id }))[0], 'it is recorded');
    // A pass that has nothing to do begins on what the commit left.
    const person = scene.person('live');
    git(person, 'revert', '--no-edit', 'HEAD');
    git(person, 'push', '--quiet', 'origin', 'live');
    await until(async () => (await rowOf(scene, id))?.removedAt, 'it counts as removed');
    const [next = ''] = await until(() => {
      const files = filesOn(scene.host);
      return files.length === 1 && files[0] !== path ? files : undefined;
    }, 'the chute runs elsewhere');
    assert.is.not(next.split('/')[1], path.split('/')[1]);
    const [note] = await scene.store.decisions(1, { reason: 'reverted' });
    assert.is(note?.decision.spec.deploymentId, id);
    await scene.restart();
    const again = scene.person('live');
    git(again, 'revert', '--no-edit', 'HEAD');
    git(again, 'push', '--quiet', 'origin', 'live');
    await until(async () => (await rowOf(scene, idOf(next)))?.removedAt, 'the second one counts as removed');
    // Both servers are out for it; another chute is placed, so passes go on.
    scene.list(first, second);
    await until(() => filesOn(scene.host).length > 0 || undefined, 'another chute is placed');
    const names = filesOn(scene.host).map((file) => git(scene.host.gitdir, 'show', `live:${file}`));
    assert.ok(names.every((text) => !text.includes(first.chuteId)));
  });
});

test('a pause and a denial on main take effect with the next pass', async () => {
  await atGitHost(async (scene) => {
    scene.list(first);
    await untilDeployed(scene, 1);
    pushPolicy(scene, '{ mode: paused }');
    const paused = git(scene.host.gitdir, 'rev-parse', 'main');
    await until(async () => (await scene.repo.readMain()).commit === paused || undefined, 'main is seen');
    scene.list(first, second, third);
    pushPolicy(scene, `{ mode: active, denyChutes: [${second.chuteId}] }`);
    await untilDeployed(scene, 2);
    const config = git(
      scene.host.gitdir,
      'log',
      '-1',
      '--format=%(trailers:key=Config-Commit,valueonly)',
      'live',
    ).trim();
    assert.is(config, git(scene.host.gitdir, 'rev-parse', 'main'));
    const texts = filesOn(scene.host).map((file) => git(scene.host.gitdir, 'show', `live:${file}`));
    assert.ok(texts.every((text) => !text.includes(second.chuteId)));
    assert.is(scene.launches(), 2);
  });
});

test.run();
