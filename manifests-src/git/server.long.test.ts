// The embedded git server for real: what is in its ConfigMap, run by Debian's nginx, fcgiwrap and git.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openClusterRepo } from '@miner/controller/clusterrepo/clusterrepo.ts';
import { optionsFor } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type GitServer, startGitServer } from '../testing/git-server.ts';

const writer = 'miner:w-token%40with:odd#signs$1';
const reader = 'argocd:r-token';
const basic = (user: string) => `Basic ${Buffer.from(user).toString('base64')}`;

interface Scene {
  server: GitServer;
  dir: string;
  /** Git as this user; rejects with what git wrote. */
  git(user: string | undefined, ...args: string[]): Promise<string>;
}

const run = promisify(execFile);

async function withServer(body: (scene: Scene) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'git-client-'));
  const server = await startGitServer({ credentials: `${writer}\n`, readers: `${reader}\n` });
  try {
    await body({
      server,
      dir,
      async git(user, ...args) {
        const header = user === undefined ? [] : ['-c', `http.extraHeader=Authorization: ${basic(user)}`];
        const who = ['-c', 'user.name=T', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main'];
        const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' };
        const { stdout } = await run('git', [...header, ...who, ...args], { cwd: dir, env, timeout: 60_000 });
        return stdout.trim();
      },
    });
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A clone with one commit of so many bytes that cannot be compressed, pushed by the writer. */
async function pushed({ server, dir, git }: Scene, bytes = 100): Promise<string> {
  await git(writer, 'clone', '--quiet', server.url, 'work');
  writeFileSync(join(dir, 'work', 'file'), randomBytes(bytes));
  await git(undefined, '-C', 'work', 'add', '.');
  await git(undefined, '-C', 'work', 'commit', '--quiet', '-m', 'one');
  await git(writer, '-C', 'work', 'push', '--quiet', 'origin', 'HEAD:main');
  return git(undefined, '-C', 'work', 'rev-parse', 'HEAD');
}

async function fails(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(error instanceof Error, 'expected a refusal');
  return error instanceof Error ? error.message : '';
}

test('a new repository is cloned empty, pushed to, also with a pack of megabytes, and cloned again', () =>
  withServer(async (scene) => {
    const commit = await pushed(scene, 5_000_000);
    await scene.git(reader, 'clone', '--quiet', scene.server.url, 'again');
    assert.is(await scene.git(undefined, '-C', 'again', 'rev-parse', 'HEAD'), commit);
  }));

test('without a password, with a wrong one and as somebody else nobody reads or writes', () =>
  withServer(async (scene) => {
    const { server, git } = scene;
    const commit = await pushed(scene);
    for (const user of [undefined, 'miner:wrong', 'miner:', `nobody:${writer.split(':')[1]}`, 'miner:{PLAIN}w-token']) {
      assert.match(
        await fails(git(user, 'clone', server.url, 'stolen')),
        /Authentication|could not read|403|401/,
        user,
      );
      assert.match(
        await fails(git(user, '-C', 'work', 'push', server.url, 'HEAD:refs/heads/evil')),
        /Authentication|could not read|403|401/,
        user,
      );
    }
    assert.is(await git(reader, 'ls-remote', server.url), `${commit}\tHEAD\n${commit}\trefs/heads/main`);
  }));

test('a reader fetches and cannot push, however the path is written', () =>
  withServer(async (scene) => {
    const { server, git } = scene;
    await pushed(scene);
    assert.match(
      await fails(git(reader, '-C', 'work', 'push', server.url, 'HEAD:refs/heads/evil')),
      /Authentication|could not read|403|401/,
    );
    for (const path of ['git-receive-pack', 'git-receive%2Dpack', 'git-rec%65ive-pack', './git-receive-pack'])
      for (const [user, status] of [
        [reader, 401],
        [writer, 200],
      ] as const) {
        const answer = await fetch(`${server.url}/${path}`, {
          method: 'POST',
          headers: {
            authorization: basic(user),
            'content-type': 'application/x-git-receive-pack-request',
          },
          body: '0000',
        });
        assert.is(answer.status, status, `${path} ${user}`);
      }
  }));

test('nothing else is there', () =>
  withServer(async ({ server }) => {
    const paths = [
      '/',
      '/cluster.git/config',
      '/cluster.git/HEAD',
      '/cluster.git/objects/info/packs',
      '/other.git/info/refs',
    ];
    for (const path of [...paths, '/cluster.git/info/refs/..%2f..%2fconfig', '/readyz/cluster.git/config'])
      assert.is((await fetch(server.host + path, { headers: { authorization: basic(writer) } })).status, 404, path);
    assert.is((await fetch(`${server.host}/readyz`, { method: 'POST' })).status, 403);
    assert.is(await (await fetch(`${server.host}/readyz`)).text(), '', 'an empty repository has no branch to name');
  }));

test('no token is in the log', () =>
  withServer(async (scene) => {
    await pushed(scene);
    await fails(scene.git('miner:wrong-token', 'ls-remote', scene.server.url));
    const log = scene.server.log();
    assert.match(log, /miner "POST \/cluster\.git\/git-receive-pack" 200/);
    for (const user of [writer, reader, 'miner:wrong-token'])
      for (const secret of [user.slice(user.indexOf(':') + 1), basic(user).slice(6)])
        assert.not.ok(log.includes(secret));
  }));

test('a copy has every branch and tag, can be cloned, and only so many are kept', () =>
  withServer(async (scene) => {
    const { server, git } = scene;
    assert.equal([(await server.backup(2)).code, readdirSync(join(server.dir, 'backup'))], [0, []]);
    await pushed(scene);
    await git(undefined, '-C', 'work', 'tag', 'live-archive-1');
    await git(writer, '-C', 'work', 'push', '--quiet', server.url, 'HEAD:refs/heads/live', 'live-archive-1');
    const made: string[] = [];
    for (let n = 0; n < 3; n++) {
      const { code, output, folder } = await server.backup(2);
      assert.is(code, 0, output);
      const [newest = ''] = readdirSync(folder).sort().reverse();
      if (!made.includes(newest)) made.push(newest);
      // Names have whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    assert.equal(readdirSync(join(server.dir, 'backup')).sort(), made.slice(-2));
    await git(undefined, 'clone', '--quiet', '--mirror', join(server.dir, 'backup', made.at(-1) ?? ''), 'restored.git');
    const refs = async (...args: string[]) => (await git(reader, 'ls-remote', ...args)).replace(/^\S+\tHEAD\n/, '');
    assert.is(await refs('restored.git'), await refs(server.url));
  }));

test('the program makes its branches in the empty repository and commits to them', () =>
  withServer(async ({ server, dir, git }) => {
    const credentialFile = join(dir, 'credential');
    writeFileSync(credentialFile, `${writer}\n`, { mode: 0o600 });
    const repo = await openClusterRepo({
      ...optionsFor(dir),
      dir: join(dir, 'copy.git'),
      template: fileURLToPath(new URL('../../cluster-repo-template', import.meta.url)),
      clock: systemClock,
      remote: { url: server.url, credentialFile, everyMs: 3_600_000 },
    });
    try {
      const { commit } = await repo.readMain();
      const refs = await git(reader, 'ls-remote', '--heads', server.url);
      assert.match(refs, new RegExp(`${commit}\\trefs/heads/main`));
      assert.match(refs, /refs\/heads\/live/);
    } finally {
      await repo.close();
    }
  }));

test('a Secret whose lines are not user:token is refused at the start', async () => {
  for (const credentials of ['only-a-token\n', 'miner:\n'])
    assert.match(await fails(startGitServer({ credentials })), /is not user:token/, credentials);
});

test.run();
