import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import type { ClusterRepo } from '../domain/ports.ts';
import { openClusterRepo } from './clusterrepo.ts';
import type { Violation } from './guard.ts';
import { deploy, remove } from './testing/fixture.ts';
import { git, makeTestDir, optionsFor, serverConfigOf, specAt, withRepo } from './testing/testrepo.ts';

async function refusal(promise: Promise<unknown>, code: string): Promise<MinerError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, MinerError);
    assert.is((error as MinerError).code, code, (error as MinerError).message);
    return error as MinerError;
  }
  return assert.unreachable(`was not refused with ${code}`) as never;
}

function violationsOf(error: MinerError): Violation[] {
  return (error.detail?.violations ?? []) as Violation[];
}

async function commit(repo: ClusterRepo, ...decisions: Decision[]) {
  const [main, live] = [await repo.readMain(), await repo.readLive()];
  return repo.commitLive({ decisions, configCommit: main.commit, base: live.commit });
}

test('a new repository has the template on main and nothing on live, and git finds no fault in it', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
    assert.is(git(gitdir, 'symbolic-ref', 'HEAD'), 'refs/heads/main');
    assert.is(git(gitdir, 'ls-tree', '-r', '--name-only', 'main'), 'README.md\nminer.yaml\nservers/example.yaml');
    assert.is(git(gitdir, 'ls-tree', '-r', 'live'), '');
    assert.is(git(gitdir, 'rev-list', '--count', 'live'), '1');
    git(dir, 'clone', '--quiet', gitdir, join(dir, 'clone'));
    assert.is(readFileSync(join(dir, 'clone', 'README.md'), 'utf8'), 'Read me\n');
    assert.is((await repo.readLive()).deployments.size, 0);
    assert.is((await repo.readMain()).servers.size, 0);
  });
});

test('opening it again changes nothing', async () => {
  await withRepo(async (repo, { dir }) => {
    const before = [(await repo.readMain()).commit, (await repo.readLive()).commit];
    const again = await openClusterRepo({ ...optionsFor(dir), template: join(dir, 'absent') });
    assert.equal([(await again.readMain()).commit, (await again.readLive()).commit], before);
  });
});

test('a folder with something else in it is left alone', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  mkdirSync(gitdir);
  writeFileSync(join(gitdir, 'notes.txt'), 'mine');
  await refusal(openClusterRepo(optionsFor(dir)), 'E-GIT-REPOSITORY');
  assert.equal(readdirSync(gitdir), ['notes.txt']);
  clean();
});

test('an empty folder becomes a repository; a new one needs its template', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  mkdirSync(gitdir);
  await refusal(openClusterRepo({ ...optionsFor(dir), template: join(dir, 'absent') }), 'E-GIT-REPOSITORY');
  await openClusterRepo(optionsFor(dir));
  assert.is(git(gitdir, 'fsck', '--strict', '--no-dangling'), '');
  clean();
});

test('a start that was cut short is made good by the next', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  mkdirSync(gitdir);
  writeFileSync(join(gitdir, 'HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(join(gitdir, 'tmp_0123456789ab'), 'half a file');
  await openClusterRepo(optionsFor(dir));
  for (const ref of ['refs/heads/live', 'refs/miner/live']) git(gitdir, 'update-ref', '-d', ref);
  const repo = await openClusterRepo(optionsFor(dir));
  assert.is((await repo.readLive()).deployments.size, 0);
  assert.is(git(gitdir, 'fsck', '--strict', '--no-dangling'), '');
  clean();
});

test('a live branch that somebody removed is not replaced by an empty one, and comes back with the command that is named', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    await commit(repo, deploy(specAt(1, 0)));
    await openClusterRepo(optionsFor(dir));
    git(gitdir, 'update-ref', '-d', 'refs/heads/live');
    const { message } = await refusal(openClusterRepo(optionsFor(dir)), 'E-GIT-REPOSITORY');
    const last = /branch live ([0-9a-f]{40})/.exec(message)?.[1] ?? '';
    git(gitdir, 'branch', 'live', last);
    assert.is((await (await openClusterRepo(optionsFor(dir))).readLive()).deployments.size, 1);
  });
});

test('a repository in a layout that is not supported is refused', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  git(dir, 'init', '--quiet', '--bare', '--object-format=sha256', gitdir);
  assert.match((await refusal(openClusterRepo(optionsFor(dir)), 'E-GIT-REPOSITORY')).message, /sha256/);
  clean();
});

test('what is committed is read back, by this process and by the next', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const specs = [specAt(1, 0), specAt(1, 1), specAt(2, 0)];
    const live = await commit(repo, ...specs.map(deploy));
    const expected = new Map(specs.map((spec) => [spec.deploymentId, spec]));
    assert.equal(live.deployments, expected);
    const fresh = await openClusterRepo(optionsFor(dir));
    assert.equal(await fresh.readLive(), live);
    assert.is(live.commit, git(gitdir, 'rev-parse', 'live'));
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
  });
});

test('K6 a removal takes the file whatever became of it since it was decided on', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const spec = specAt(1, 0);
    await commit(repo, deploy(spec));
    const path = `chutes/${spec.server}/${spec.deploymentId}.yaml`;
    const person = join(dir, 'person');
    git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, person);
    writeFileSync(join(person, path), `${readFileSync(join(person, path), 'utf8')}# another version\n`);
    git(person, 'commit', '--quiet', '--all', '--message', 'touch it');
    git(person, 'push', '--quiet', 'origin', 'live');
    await commit(repo, remove(spec));
    assert.is(git(gitdir, 'ls-tree', '-r', '--name-only', 'live'), '');
  });
});

test('only the changed folders are rewritten, an empty folder vanishes, other files stay', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const clone = join(dir, 'clone');
    git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, clone);
    mkdirSync(join(clone, 'control'));
    writeFileSync(join(clone, 'control', 'app.yaml'), 'kind: Application\n');
    git(clone, 'add', '.');
    git(clone, 'commit', '--quiet', '-m', 'Add the control plane');
    git(clone, 'push', '--quiet', 'origin', 'live');
    const [a, b] = [specAt(1, 0), specAt(2, 0)];
    await commit(repo, deploy(a), deploy(b));
    const folder = git(gitdir, 'rev-parse', 'live:chutes/gpu-0002');
    await commit(repo, remove(a));
    assert.is(git(gitdir, 'ls-tree', '--name-only', 'live:chutes'), 'gpu-0002');
    assert.is(git(gitdir, 'rev-parse', 'live:chutes/gpu-0002'), folder);
    await commit(repo, remove(b));
    assert.is(git(gitdir, 'ls-tree', '-r', '--name-only', 'live'), 'control/app.yaml');
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
  });
});

test('a large batch is one commit, in one pack, that git reads', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const specs = Array.from({ length: 64 }, (_, i) => specAt(1 + (i >> 3), i & 7));
    const live = await commit(repo, ...specs.map(deploy));
    assert.is(live.deployments.size, 64);
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
    assert.is(git(gitdir, 'rev-list', '--count', 'live'), '2');
    assert.is(readdirSync(join(gitdir, 'objects', 'pack')).length, 2);
    assert.equal((await (await openClusterRepo(optionsFor(dir))).readLive()).deployments, live.deployments);
  });
});

test('objects that git packed are read as before', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    await commit(repo, deploy(specAt(1, 0)));
    const live = await commit(repo, deploy(specAt(2, 0)));
    git(gitdir, 'gc', '--quiet', '--prune=now');
    git(gitdir, 'pack-refs', '--all');
    const fresh = await openClusterRepo(optionsFor(dir));
    assert.equal(await fresh.readLive(), live);
    assert.is((await commit(fresh, remove(specAt(1, 0)))).deployments.size, 1);
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
  });
});

test('a decision made on an older commit is refused and leaves no trace', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const base = (await repo.readLive()).commit;
    const configCommit = (await repo.readMain()).commit;
    const live = await commit(repo, deploy(specAt(1, 0)));
    const late = repo.commitLive({ decisions: [deploy(specAt(2, 0))], configCommit, base });
    const error = await refusal(late, 'E-GIT-CONFLICT');
    assert.is(error.detail?.found, live.commit);
    assert.is(git(gitdir, 'rev-parse', 'live'), live.commit);
  });
});

test('of two commits on the same base made at once one is refused', async () => {
  await withRepo(async (repo, { dir }) => {
    const other = await openClusterRepo(optionsFor(dir));
    const base = (await repo.readLive()).commit;
    const configCommit = (await repo.readMain()).commit;
    const outcomes = await Promise.allSettled([
      repo.commitLive({ decisions: [deploy(specAt(1, 0))], configCommit, base }),
      other.commitLive({ decisions: [deploy(specAt(2, 0))], configCommit, base }),
    ]);
    assert.equal(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.is((await repo.readLive()).deployments.size, 1);
  });
});

test('repeating a decision makes no second commit', async () => {
  await withRepo(async (repo) => {
    const live = await commit(repo, deploy(specAt(1, 0)));
    assert.is((await commit(repo, deploy(specAt(1, 0)))).commit, live.commit);
    const gone = await commit(repo, remove(specAt(1, 0)));
    assert.is((await commit(repo, remove(specAt(1, 0)))).commit, gone.commit);
  });
});

test('a batch that breaks a rule is not written, and every violation is named', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const live = await commit(repo, deploy(specAt(1, 0)));
    const twice = { ...specAt(1, 1), gpuIds: specAt(1, 0).gpuIds };
    const error = await refusal(commit(repo, deploy(specAt(2, 0)), deploy(twice)), 'E-GUARD');
    const violations = error.detail?.violations as Violation[];
    assert.equal(
      violations.map(({ code }) => code),
      ['gpu-twice'],
    );
    assert.match(error.message, twice.gpuIds[0] ?? '');
    assert.is(git(gitdir, 'rev-parse', 'live'), live.commit);
  });
});

test('a deployment whose file would change is refused', async () => {
  await withRepo(async (repo) => {
    await commit(repo, deploy(specAt(1, 0)));
    const error = await refusal(commit(repo, deploy({ ...specAt(1, 0), diskGb: 20 })), 'E-GUARD');
    assert.match(error.message, /manifest-changed/);
  });
});

test('a rendering that fails or says something else is refused with its path', async () => {
  const failing = () => {
    throw new MinerError('E-GUARD', 'R6: no seed');
  };
  for (const render of [failing, () => 'kind: Secret\n']) {
    await withRepo(
      async (repo) => {
        const error = await refusal(commit(repo, deploy(specAt(1, 0))), 'E-GUARD');
        assert.equal(violationsOf(error)[0]?.paths, [`chutes/gpu-0001/${specAt(1, 0).deploymentId}.yaml`]);
      },
      { render },
    );
  }
});

test('a file that cannot be read is reported once and hides nothing else', async () => {
  const reports: string[] = [];
  await withRepo(
    async (repo, { dir, gitdir }) => {
      await commit(repo, deploy(specAt(1, 0)), deploy(specAt(2, 0)));
      const clone = join(dir, 'clone');
      git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, clone);
      writeFileSync(join(clone, 'chutes', 'gpu-0001', 'notes.txt'), 'hello');
      git(clone, 'add', '.');
      git(clone, 'commit', '--quiet', '-m', 'Leave a note');
      git(clone, 'push', '--quiet', 'origin', 'live');
      assert.is((await repo.readLive()).deployments.size, 2);
      await repo.readLive();
      assert.equal(reports, ['chutes/gpu-0001/notes.txt']);
      assert.is((await commit(repo, deploy(specAt(2, 1)))).deployments.size, 3);
      const beside = await refusal(commit(repo, deploy(specAt(1, 1))), 'E-GUARD');
      assert.match(beside.message, /unreadable/);
      assert.is((await commit(repo, remove(specAt(1, 0)))).deployments.size, 2);
    },
    { onBadFile: (path) => reports.push(path) },
  );
});

test('a person can take a deployment back with git revert', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    await commit(repo, deploy(specAt(1, 0)));
    await commit(repo, deploy(specAt(1, 1)));
    const clone = join(dir, 'clone');
    git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, clone);
    git(clone, 'revert', '--no-edit', 'HEAD');
    git(clone, 'push', '--quiet', 'origin', 'live');
    assert.equal([...(await repo.readLive()).deployments.keys()], [specAt(1, 0).deploymentId]);
  });
});

test('servers are written to main, and the same server twice makes one commit', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const first = await repo.writeServer(serverConfigOf(1));
    assert.is(await repo.writeServer(serverConfigOf(1)), first);
    await repo.writeServer({ ...serverConfigOf(1), locked: true });
    assert.equal((await repo.readMain()).servers.get('gpu-0001'), { ...serverConfigOf(1), locked: true });
    const gone = await repo.removeServer('gpu-0001');
    assert.is(await repo.removeServer('gpu-0001'), gone);
    assert.is((await repo.readMain()).servers.size, 0);
    const subjects = git(gitdir, 'log', '--format=%s', 'main').split('\n').slice(0, 3);
    assert.equal(subjects, ['Remove server gpu-0001', 'Change server gpu-0001', 'Add server gpu-0001']);
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
  });
});

test('servers written by two processes at once are all there', async () => {
  await withRepo(async (repo, { dir }) => {
    const other = await openClusterRepo(optionsFor(dir));
    await Promise.all([1, 2, 3, 4].map((n) => (n % 2 ? repo : other).writeServer(serverConfigOf(n))));
    assert.is((await repo.readMain()).servers.size, 4);
  });
});

test('a name that would lead out of the folder is refused', async () => {
  await withRepo(async (repo) => {
    await refusal(
      Promise.resolve().then(() => repo.writeServer({ ...serverConfigOf(1), name: '../x' })),
      'E-CONFIG',
    );
    await refusal(
      Promise.resolve().then(() => repo.removeServer('../miner')),
      'E-CONFIG',
    );
    const escaping = { ...specAt(1, 0), server: '../..' };
    await refusal(commit(repo, deploy(escaping)), 'E-GUARD');
  });
});

test.run();
