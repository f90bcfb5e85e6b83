import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { openClusterRepo } from './clusterrepo.ts';
import { writeWhole } from './files.ts';
import { openMainBranch } from './mainbranch.ts';
import { openRepository, type Repository } from './repository.ts';
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

test('a server is written although others are faster many times, and given up only when that never ends', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const repository = await openRepository(gitdir, { author: { name: 'Test', email: 'test@localhost' } });
    let faster = 15;
    const contested: Repository = {
      ...repository,
      async commit(request) {
        if (faster-- > 0) throw new MinerError('E-GIT-CONFLICT', 'somebody was faster');
        return repository.commit(request);
      },
    };
    const main = openMainBranch(contested, systemClock);
    await main.writeServer(serverConfigOf(1));
    assert.is((await repo.readMain()).servers.size, 1);
    faster = Number.POSITIVE_INFINITY;
    assert.is(await refusalOf(main.writeServer(serverConfigOf(2))), 'somebody was faster');
  });
});

test('servers are added in one commit; one that says something else than its file stops all, one that is there already none', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const repository = await openRepository(gitdir, { author: { name: 'Test', email: 'test@localhost' } });
    const main = openMainBranch(repository, systemClock);
    const added = await main.addServers([serverConfigOf(1), serverConfigOf(2)]);
    assert.match((await repository.commitAt(added)).message, /^Add 2 servers\n/);
    assert.is(await main.addServers([serverConfigOf(2)]), added, 'nothing to say is no commit');
    const dearer = { ...serverConfigOf(2), hourlyCost: 99 };
    const refused = await refusalOf(main.addServers([serverConfigOf(3), dearer]));
    assert.match(refused, /gpu-0002.yaml is on main and says something else; nothing was added/);
    assert.is((await repo.readMain()).servers.size, 2);
    const one = await main.addServers([serverConfigOf(2), serverConfigOf(3)]);
    assert.match((await repository.commitAt(one)).message, /^Add 1 server\n/);
    await main.removeServer('gpu-0003');
    const head = (await repo.readMain()).commit;
    assert.is(await main.removeServer('gpu-0003'), head, 'what is gone already is no commit');
    assert.match(await refusalOf(main.removeServer('../miner')), /cannot be the name of a server/);
  });
});

test.run();
