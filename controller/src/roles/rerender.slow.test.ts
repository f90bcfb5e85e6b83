// The tree of charts on `live`, as the roles write it: it follows `main`, and nothing but what differs is written.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy } from '../clusterrepo/testing/fixture.ts';
import { commitOnce } from '../clusterrepo/testing/testremote.ts';
import { git, lookup, makeTestDir, serverConfigOf, specAt } from '../clusterrepo/testing/testrepo.ts';
import { readGitOptions } from './gitoptions.ts';
import { openRepository } from './repository.ts';
import { createRerenders } from './rerender.ts';
import { until } from './testing/scene.ts';

interface Rendered {
  gitdir: string;
  dir: string;
  repo: Awaited<ReturnType<typeof openRepository>>;
  /** Paths that the newest commit of `live` changed, once it was made from the newest `main`. */
  rendered(): Promise<string[]>;
}

async function rendering(work: (made: Rendered) => Promise<void>): Promise<void> {
  const { dir, gitdir, remove } = makeTestDir();
  const log = pino({ level: 'silent' });
  const options = await readGitOptions({});
  const repo = await openRepository({ dir: gitdir, template: join(dir, 'template'), git: options, log, lookup });
  const rerender = createRerenders({ repo, mayWrite: () => true, log });
  try {
    await work({
      gitdir,
      dir,
      repo,
      async rendered() {
        const main = await repo.readMain();
        await until(() => {
          rerender.after(main);
          return (
            git(gitdir, 'log', '-1', '--format=%s', 'live').startsWith(`render main ${main.commit.slice(0, 7)}`) ||
            undefined
          );
        }, 'live is rendered');
        return git(gitdir, 'diff', '--name-only', 'live^', 'live').split('\n');
      },
    });
  } finally {
    await rerender.stop();
    await repo.close();
    remove();
  }
}

function foldersOf(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => path.replace(/^argocd\/.*|^([^/]+\/[^/]+)\/.*/, '$1') || 'argocd'))].sort();
}

test('live follows miner.yaml and servers/ of main, file by file, beside the deployments', async () => {
  await rendering(async ({ dir, gitdir, repo, rendered }) => {
    await repo.writeServer(serverConfigOf(1));
    const spec = specAt(1, 0);
    await commitOnce(repo, deploy(spec));
    const first = await rendered();
    assert.equal(foldersOf(first), ['argocd', 'control/miner', 'control/monitoring', 'members/gpu-0001']);
    const member = git(gitdir, 'rev-parse', 'live:members/gpu-0001');

    await repo.writeServer(serverConfigOf(2));
    const second = await rendered();
    assert.ok(second.some((path) => path.startsWith('members/gpu-0002/')));
    assert.not.ok(second.some((path) => path.startsWith('members/gpu-0001/')));
    assert.is(
      git(gitdir, 'rev-parse', 'live:members/gpu-0002'),
      member,
      'servers with the same values share their files',
    );

    const person = join(dir, 'person');
    git(dir, 'clone', '--quiet', '--branch', 'main', gitdir, person);
    const yaml = join(person, 'miner.yaml');
    writeFileSync(yaml, `${readFileSync(yaml, 'utf8')}cache: { maxAgeDays: 9 }\n`);
    git(person, 'rm', '--quiet', 'servers/gpu-0002.yaml');
    git(person, 'commit', '--quiet', '--all', '--message', 'another cache, one server less');
    git(person, 'push', '--quiet', 'origin', 'main');
    const third = await rendered();
    assert.ok(third.includes('members/gpu-0001/miner-gpu/cache-cleaner.yaml'));
    assert.not.ok(third.includes('members/gpu-0001/miner-gpu/registry.yaml'));
    assert.is(git(gitdir, 'ls-tree', '--name-only', 'live', 'members/'), 'members/gpu-0001');
    assert.equal([...(await repo.readLive()).deployments.values()], [spec]);
  });
});

test('what people write into the rendered folders is put right with the next change of main', async () => {
  await rendering(async ({ dir, gitdir, repo, rendered }) => {
    await repo.writeServer(serverConfigOf(1));
    await rendered();
    const person = join(dir, 'person');
    git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, person);
    writeFileSync(join(person, 'members/gpu-0001/own.yaml'), 'kind: ConfigMap\n');
    git(person, 'rm', '--quiet', '-r', 'control');
    git(person, 'add', '.');
    git(person, 'commit', '--quiet', '--message', 'my own');
    git(person, 'push', '--quiet', 'origin', 'live');
    await repo.writeServer({ ...serverConfigOf(1), hourlyCost: 2 });
    const changed = await rendered();
    assert.ok(changed.includes('members/gpu-0001/own.yaml'));
    assert.ok(changed.includes('control/miner/controller.yaml'));
    assert.not.match(git(gitdir, 'ls-tree', '-r', '--name-only', 'live'), 'own.yaml');
  });
});

test.run();
