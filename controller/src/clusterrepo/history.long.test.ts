import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { deploy, remove } from './testing/fixture.ts';
import { atHost, commitOnce, commitSoon, errorOf } from './testing/testremote.ts';
import { git, specAt, withRepo } from './testing/testrepo.ts';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

/** A clock that a test sets. */
function makeClock() {
  const clock = { at: start, now: () => clock.at, sleep: systemClock.sleep };
  return clock;
}

function filesIn(gitdir: string): number {
  return readdirSync(join(gitdir, 'objects'), { recursive: true }).length;
}

function gpg(home: string, ...args: string[]): string {
  return execFileSync('gpg', ['--batch', '--homedir', home, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A key in a folder of its own; its agent is ended with it. */
async function withKey(work: (home: string, keyId: string) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'gpg-'));
  chmodSync(home, 0o700);
  try {
    gpg(home, '--passphrase', '', '--quick-generate-key', 'Gepetto <gepetto@localhost>', 'ed25519', 'sign', 'never');
    const keyId = /^fpr:+([0-9A-F]{40}):/m.exec(gpg(home, '--list-keys', '--with-colons'))?.[1] ?? '';
    await work(home, keyId);
  } finally {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'], { stdio: 'ignore', timeout: 30_000 });
    rmSync(home, { recursive: true, force: true });
  }
}

function demandSigned(gitdir: string, home: string, keyId: string, branch: string): void {
  const report = execFileSync('git', ['-C', gitdir, 'log', '--format=%G? %GF', branch], {
    encoding: 'utf8',
    env: { ...process.env, GNUPGHOME: home },
  });
  // G: good; the key is its own owner's and so trusted ultimately.
  for (const line of report.trim().split('\n')) assert.is(line, `G ${keyId}`);
  execFileSync('git', ['-C', gitdir, 'verify-commit', branch], {
    stdio: 'ignore',
    env: { ...process.env, GNUPGHOME: home },
  });
}

test('with a key every commit on main and live is signed, those made again by a squash too', async () => {
  await withKey(async (gpgHome, keyId) => {
    const clock = makeClock();
    await withRepo(
      async (repo, { gitdir }) => {
        for (let i = 0; i < 4; i++) {
          clock.at += day;
          await commitOnce(repo, deploy(specAt(1, i)));
        }
        assert.is((await repo.squash({ olderThanMs: 1.5 * day }))?.archived, 3);
        for (const branch of ['main', 'live']) demandSigned(gitdir, gpgHome, keyId, branch);
        assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
      },
      { clock, signing: { gpgHome, keyId } },
    );
  });
});

test('a key that is not there stops the commit and is named', async () => {
  await withKey(async (gpgHome) => {
    const error = await errorOf(withRepo(async () => {}, { signing: { gpgHome, keyId: 'ABCDEF01' } }));
    assert.is(error.code, 'E-GIT-REPOSITORY');
    assert.match(error.message, /cannot be signed with key ABCDEF01/);
  });
});

test('old commits become one under a tag; newer ones keep trees, times and messages; a second squash has nothing to do', async () => {
  const clock = makeClock();
  await withRepo(
    async (repo, { gitdir }) => {
      for (let i = 0; i < 6; i++) {
        clock.at += day;
        await commitOnce(repo, deploy(specAt(1, i)));
      }
      const before = await repo.readLive();
      const form = '--format=%T %at %s %b';
      const newest = git(gitdir, 'log', '-n', '2', form, 'live');
      const files = filesIn(gitdir);
      const squashed = await repo.squash({ olderThanMs: 1.5 * day });
      assert.is(squashed?.archived, 5);
      assert.is(squashed?.tag, 'live-archive-2026-01-05');
      assert.is(git(gitdir, 'rev-list', '--count', 'live'), '3');
      assert.is(git(gitdir, 'log', '-n', '2', form, 'live'), newest);
      assert.is(
        git(gitdir, 'rev-parse', 'live-archive-2026-01-05'),
        git(gitdir, 'rev-list', '--max-parents=0', 'live'),
      );
      const after = await repo.readLive();
      assert.is(after.commit, squashed?.commit);
      assert.equal(after.deployments, before.deployments);
      assert.ok(filesIn(gitdir) < files);
      assert.is(await repo.squash({ olderThanMs: 1.5 * day }), undefined);
      assert.is(await repo.squash({ olderThanMs: 100 * day }), undefined);
      await commitOnce(repo, remove(specAt(1, 0)));
      assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
    },
    { clock },
  );
});

test('a squash on the host is a compare-and-swap: commits made meanwhile come along, other stores follow without a report', async () => {
  const clock = makeClock();
  await atHost(async ({ host, open, problems }) => {
    const [gepetto, controller] = [await open('gepetto', { clock }), await open('controller')];
    for (let i = 0; i < 5; i++) {
      clock.at += day;
      await commitOnce(gepetto, deploy(specAt(1, i)));
    }
    await controller.refresh();
    const before = await controller.readLive();
    const [squashed] = await Promise.all([
      gepetto.squash({ olderThanMs: 2.5 * day }),
      commitSoon(gepetto, () => [deploy(specAt(2, 0))]),
    ]);
    assert.is(squashed?.archived, 3);
    await controller.refresh();
    const after = await controller.readLive();
    assert.is(after.deployments.size, before.deployments.size + 1);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '5');
    assert.is(
      git(host.gitdir, 'rev-parse', squashed?.tag ?? ''),
      git(host.gitdir, 'rev-list', '--max-parents=0', 'live'),
    );
    assert.equal(problems, []);
    assert.is(git(host.gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  });
});

test('a store that was fetched without old history commits, and fetches that history when a squash needs it', async () => {
  const clock = makeClock();
  await atHost(async ({ host, open, dir, problems }) => {
    const first = await open('one', { clock });
    for (let i = 0; i < 110; i++) {
      clock.at += day;
      await commitOnce(first, i % 2 === 0 ? deploy(specAt(1, 0)) : remove(specAt(1, 0)));
    }
    const second = await open('two', { clock });
    assert.is(git(join(dir, 'two.git'), 'rev-list', '--count', 'live'), '100');
    await commitOnce(second, deploy(specAt(2, 0)));
    await first.refresh();
    assert.is((await first.readLive()).deployments.size, 1);
    const squashed = await second.squash({ olderThanMs: 105.5 * day });
    assert.is(squashed?.archived, 5);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '108');
    assert.is(git(join(dir, 'two.git'), 'fsck', '--strict', '--full', '--no-dangling'), '');
    await first.refresh();
    assert.is((await first.readLive()).commit, squashed?.commit);
    assert.equal(problems, []);
  });
});

test('a store with many files is packed between commits, and everything in it is read as before', async () => {
  await atHost(async ({ open, dir }) => {
    const repo = await open('one');
    const gitdir = join(dir, 'one.git');
    assert.is(await repo.tidy(), false);
    for (let i = 0; i < 42; i++) {
      const specs = Array.from({ length: 8 }, (_, slot) => specAt(1 + i * 6, slot));
      const more = Array.from({ length: 40 }, (_, k) => specAt(2 + i * 6 + (k >> 3), k & 7));
      await commitOnce(repo, ...[...specs, ...more].map(deploy));
    }
    const before = await repo.readLive();
    const [tidied] = await Promise.all([repo.tidy(), commitSoon(repo, () => [deploy(specAt(900, 0))])]);
    assert.is(tidied, true);
    const packs = readdirSync(join(gitdir, 'objects', 'pack')).filter((name) => name.endsWith('.pack'));
    assert.ok(packs.length < 10, `${packs.length} packs`);
    assert.is((await repo.readLive()).deployments.size, before.deployments.size + 1);
    assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  });
});

test.run();
