import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { messageOf } from '../domain/errors.ts';
import { openClusterRepo } from './clusterrepo.ts';
import { git, optionsFor, withRepo } from './testrepo.ts';

const refusalOf = (promise: Promise<unknown>) => promise.then(() => 'none', messageOf);

test('while the newest commit of main is faulty, the last good one can still be had, also by a process that just started', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const { commit: good } = await repo.readMain();
    const people = join(dir, 'people');
    git(dir, 'clone', '--quiet', '--branch', 'main', gitdir, people);
    for (const text of ['policy: 1\n', 'not: [yaml\n']) {
      writeFileSync(join(people, 'miner.yaml'), text);
      git(people, 'commit', '--quiet', '-am', 'Mistake');
    }
    git(people, 'push', '--quiet');
    const fresh = await openClusterRepo(optionsFor(dir));
    for (const one of [repo, fresh]) {
      assert.match(await refusalOf(one.readMain()), /not valid YAML/);
      assert.is((await one.readLastGoodMain()).commit, good);
    }
    git(people, 'checkout', '--quiet', '--orphan', 'fresh');
    git(people, 'commit', '--quiet', '-m', 'Nothing but the mistake');
    git(gitdir, 'fetch', '--quiet', people, '+fresh:main');
    assert.match(await refusalOf(fresh.readLastGoodMain()), /not valid YAML/);
  });
});

test.run();
