// Branch `proposed` beside `live` in a real repository, as git sees both.

import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import type { MinerError } from '../domain/errors.ts';
import type { ClusterRepo } from '../domain/ports.ts';
import { deploy, remove } from './testing/fixture.ts';
import { git, serverConfigOf, specAt, withRepo } from './testing/testrepo.ts';

const a = specAt(1, 0);
const b = specAt(1, 1);
const c = specAt(2, 0);

async function batch(repo: ClusterRepo, decisions: Decision[]) {
  const [main, live] = [await repo.readMain(), await repo.readLive()];
  return { decisions, configCommit: main.commit, base: live.commit };
}

test('a proposal is one commit on top of live, which stays; another one replaces it, and the same one changes nothing', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const live = (await repo.commitLive(await batch(repo, [deploy(a)]))).commit;
    const first = await repo.propose(await batch(repo, [remove(a), deploy(b)]));
    assert.is(git(gitdir, 'rev-parse', 'proposed'), first);
    assert.is(git(gitdir, 'rev-parse', 'live'), live);
    assert.is(git(gitdir, 'rev-list', '--count', 'live..proposed'), '1');
    assert.is(
      git(gitdir, 'diff', '--no-renames', '--name-status', 'live..proposed'),
      `D\tchutes/gpu-0001/${a.deploymentId}.yaml\nA\tchutes/gpu-0001/${b.deploymentId}.yaml`,
    );
    assert.is(await repo.propose(await batch(repo, [remove(a), deploy(b)])), first);
    const second = await repo.propose(await batch(repo, [deploy(c)]));
    assert.is.not(second, first);
    assert.is(git(gitdir, 'log', '--format=%s', 'live..proposed'), 'deploy chute-0 on gpu-0002 (+1 → 1)');
    assert.is(git(gitdir, 'diff', '--name-status', 'live..proposed'), `A\tchutes/gpu-0002/${c.deploymentId}.yaml`);
    assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  });
});

test('what is proposed is, byte for byte, what live gets when it is decided', async () => {
  await withRepo(async (repo, { gitdir }) => {
    await repo.propose(await batch(repo, [deploy(a), deploy(c)]));
    await repo.commitLive(await batch(repo, [deploy(a), deploy(c)]));
    assert.is(git(gitdir, 'rev-parse', 'proposed^{tree}'), git(gitdir, 'rev-parse', 'live^{tree}'));
  });
});

test('with nothing to decide, proposed is live itself', async () => {
  await withRepo(async (repo, { gitdir }) => {
    await repo.propose(await batch(repo, [deploy(a)]));
    const live = (await repo.commitLive(await batch(repo, [deploy(b)]))).commit;
    assert.is(await repo.propose(await batch(repo, [])), live);
    assert.is(git(gitdir, 'rev-parse', 'proposed'), live);
  });
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'accepted',
    (error: MinerError) => error.code,
  );
}

test('a proposal passes the same guard as live, and one for an older live is refused', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const early = await batch(repo, [deploy(c)]);
    await repo.commitLive(await batch(repo, [deploy(a)]));
    const twice = { ...specAt(1, 3), gpuIds: a.gpuIds };
    assert.is(await codeOf(repo.propose(await batch(repo, [deploy(twice)]))), 'E-GUARD');
    assert.is(await codeOf(repo.propose(early)), 'E-GIT-CONFLICT');
    assert.throws(() => execFileSync('git', ['-C', gitdir, 'rev-parse', '--verify', 'proposed'], { stdio: 'ignore' }));
  });
});

test('a server that the policy names is not removed before it is taken out of the policy', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    await repo.writeServer(serverConfigOf(1));
    git(dir, 'clone', '--quiet', '--branch', 'main', gitdir, 'people');
    const people = `${dir}/people`;
    execFileSync('sh', ['-c', 'printf "policy:\\n  servers:\\n    gpu-0001: {maximum: 1}\\n" >> miner.yaml'], {
      cwd: people,
    });
    git(people, 'commit', '--quiet', '-am', 'Limit a server');
    git(people, 'push', '--quiet');
    let message = '';
    await repo.removeServer('gpu-0001').catch((error: Error) => {
      message = error.message;
    });
    assert.is(
      message,
      'miner.yaml: policy.servers.gpu-0001 names server gpu-0001: take it out before the server is removed',
    );
    assert.ok((await repo.readMain()).servers.has('gpu-0001'));
    git(people, 'revert', '--no-edit', 'HEAD');
    git(people, 'push', '--quiet');
    await repo.removeServer('gpu-0001');
    assert.not((await repo.readMain()).servers.has('gpu-0001'));
  });
});

test.run();
