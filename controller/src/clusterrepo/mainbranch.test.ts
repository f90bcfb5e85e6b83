import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError, messageOf } from '../domain/errors.ts';
import { openClusterRepo } from './clusterrepo.ts';
import { writeWhole } from './files.ts';
import { git, optionsFor, serverConfigOf, withRepo } from './testing/testrepo.ts';

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

test('a repository that takes no new object is E-GIT-REPOSITORY and names its folder', async () => {
  await withRepo(async (repo, { gitdir }) => {
    for (let i = 0; i < 256; i++) {
      const fan = join(gitdir, 'objects', i.toString(16).padStart(2, '0'));
      if (!existsSync(fan)) writeFileSync(fan, '');
    }
    const error: unknown = await repo.writeServer(serverConfigOf(1)).catch((reason: unknown) => reason);
    assert.instance(error, MinerError);
    assert.is((error as MinerError).code, 'E-GIT-REPOSITORY');
    assert.ok(messageOf(error).startsWith(`${gitdir} cannot be written: `), messageOf(error));
  });
});

test('a write that fails half-way, as on a full disk, leaves nothing behind', async () => {
  await withRepo(async (_repo, { dir }) => {
    const folder = join(dir, 'folder');
    mkdirSync(folder);
    // A content that cannot be written stands for a disk that cannot take it.
    const impossible = { length: 1 } as unknown as Buffer;
    assert.is.not(await refusalOf(writeWhole(join(folder, 'file'), impossible)), 'none');
    assert.equal(readdirSync(folder), []);
  });
});

test.run();
