// A stranger on `live` of the git host, and a stop in the middle of a push.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { git } from '../clusterrepo/testing/testrepo.ts';
import { atGitHost, chuteOf, filesOn, type GitScene, idOf, rowOf, untilDeployed } from './testing/gitscene.ts';
import { until } from './testing/scene.ts';

const run = promisify(execFile);
const [first, second, third] = [chuteOf(1), chuteOf(2), chuteOf(3)];

/** As a person with credentials, over HTTP. */
async function pushForced({ host }: GitScene, clone: string, commit: string): Promise<void> {
  const [user, token] = host.credential.split(':');
  const url = host.url.replace('http://', `http://${user}:${token}@`);
  // The host is in this process: it must be able to answer.
  await run('git', ['-C', clone, 'push', '--quiet', '--force', url, `${commit}:refs/heads/live`], { timeout: 60_000 });
}

test('a stranger who forces live back to its beginning stops every decision and ends no instance; pushed back, the work goes on', async () => {
  await atGitHost(async (scene) => {
    scene.list(first, second);
    await untilDeployed(scene, 2);
    await until(async () => (await scene.store.decisions(10)).length === 2 || undefined, 'both are recorded');
    const before = git(scene.host.gitdir, 'rev-parse', 'live');
    const stranger = scene.person('live');
    await pushForced(scene, stranger, git(stranger, 'rev-list', '--max-parents=0', 'HEAD'));
    const refused = await until(
      () =>
        scene.repo.readLive().then(
          () => undefined,
          (error: Error) => error.message,
        ),
      'live is not read any more',
      60_000,
    );
    assert.match(refused, /was emptied by a push that replaced its history/);
    scene.list(first, second, third);
    scene.gepetto().wake();
    assert.equal([filesOn(scene.host), scene.launches(), scene.deletedInstances], [[], 2, []]);
    await pushForced(scene, stranger, before);
    await untilDeployed(scene, 3);
    assert.equal([scene.launches(), scene.deletedInstances], [3, []]);
    assert.is(git(scene.host.gitdir, 'merge-base', before, 'live'), before, 'nothing of the history is lost');
    assert.is(git(scene.host.gitdir, 'fsck', '--strict', '--no-dangling'), '');
  });
});

test('a stop during a slow push waits for it, and what it brought is recorded', async () => {
  await atGitHost(async (scene) => {
    scene.host.fault = { kind: 'slow', ms: 3_000 };
    const { pushes } = scene.host.counts;
    scene.list(first);
    await until(() => scene.host.counts.pushes > pushes || undefined, 'the push is under way', 60_000);
    await scene.stop();
    const [path = ''] = filesOn(scene.host);
    assert.ok(path, 'the push was waited for');
    assert.ok((await rowOf(scene, idOf(path)))?.committedAt);
    assert.is((await scene.store.decisions(10)).length, 1);
    assert.equal([...scene.secrets], [idOf(path)]);
  });
});

test.run();
