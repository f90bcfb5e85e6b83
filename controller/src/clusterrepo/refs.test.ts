import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerError } from '../domain/errors.ts';
import { moveBranch, readBranch } from './refs.ts';
import { git } from './testing/testrepo.ts';

async function withGit(work: (gitdir: string, commits: string[]) => Promise<void>): Promise<void> {
  const gitdir = mkdtempSync(join(tmpdir(), 'refs-'));
  try {
    git(gitdir, 'init', '--quiet', '--bare', '.');
    const tree = git(gitdir, 'hash-object', '-t', 'tree', '-w', '/dev/null');
    await work(
      gitdir,
      ['a', 'b', 'c'].map((message) => git(gitdir, 'commit-tree', '-m', message, tree)),
    );
  } finally {
    rmSync(gitdir, { recursive: true });
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: MinerError) => error.code,
  );
}

const impatient = { staleMs: 60_000, waitMs: 30 };

test('a branch moves from where it is expected, and from nowhere else', async () => {
  await withGit(async (gitdir, [a = '', b = '', c = '']) => {
    assert.is(await readBranch(gitdir, 'live'), undefined);
    await moveBranch(gitdir, 'live', undefined, a);
    assert.is(git(gitdir, 'rev-parse', 'live'), a);
    assert.is(await codeOf(moveBranch(gitdir, 'live', b, c)), 'E-GIT-CONFLICT');
    assert.is(await codeOf(moveBranch(gitdir, 'live', undefined, c)), 'E-GIT-CONFLICT');
    await moveBranch(gitdir, 'live', a, b);
    assert.is(await readBranch(gitdir, 'live'), b);
    assert.equal(readdirSync(join(gitdir, 'refs', 'heads')), ['live']);
  });
});

test('a packed branch is read, compared and moved', async () => {
  await withGit(async (gitdir, [a = '', b = '']) => {
    git(gitdir, 'update-ref', 'refs/heads/live', a);
    git(gitdir, 'update-ref', 'refs/heads/live-too', b);
    git(gitdir, 'pack-refs', '--all', '--prune');
    assert.not(existsSync(join(gitdir, 'refs', 'heads', 'live')));
    assert.is(await readBranch(gitdir, 'live'), a);
    assert.is(await codeOf(moveBranch(gitdir, 'live', b, a)), 'E-GIT-CONFLICT');
    await moveBranch(gitdir, 'live', a, b);
    assert.is(git(gitdir, 'rev-parse', 'live'), b);
  });
});

test('git waits for nobody who holds our lock, and we do not touch a lock that git holds', async () => {
  await withGit(async (gitdir, [a = '', b = '']) => {
    await moveBranch(gitdir, 'live', undefined, a);
    const lock = join(gitdir, 'refs', 'heads', 'live.lock');
    writeFileSync(lock, '');
    assert.throws(() => git(gitdir, 'update-ref', 'refs/heads/live', b), /live\.lock/);
    assert.is(await codeOf(moveBranch(gitdir, 'live', a, b, impatient)), 'E-GIT-REPOSITORY');
    assert.ok(existsSync(lock));
    assert.is(git(gitdir, 'rev-parse', 'live'), a);
  });
});

test('a lock that a crash left behind is cleared away when it is old', async () => {
  await withGit(async (gitdir, [a = '', b = '']) => {
    await moveBranch(gitdir, 'live', undefined, a);
    const lock = join(gitdir, 'refs', 'heads', 'live.lock');
    writeFileSync(lock, b.slice(0, 7));
    const old = new Date(Date.now() - 120_000);
    utimesSync(lock, old, old);
    await moveBranch(gitdir, 'live', a, b, impatient);
    assert.is(git(gitdir, 'rev-parse', 'live'), b);
    assert.not(existsSync(lock));
    assert.equal(
      readdirSync(gitdir).filter((name) => name.startsWith('stale')),
      [],
    );
  });
});

test('of many who move a branch at once exactly one wins each time', async () => {
  await withGit(async (gitdir, [a = '', b = '', c = '']) => {
    await moveBranch(gitdir, 'live', undefined, a);
    const outcomes = await Promise.all([b, c, b, c, b, c].map((next) => codeOf(moveBranch(gitdir, 'live', a, next))));
    assert.equal(outcomes.filter((outcome) => outcome === 'done').length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === 'E-GIT-CONFLICT').length, 5);
  });
});

test('what is no repository is an error, not a branch that is missing', async () => {
  await withGit(async (gitdir, [a = '']) => {
    mkdirSync(join(gitdir, 'refs', 'heads', 'live'));
    assert.is(await codeOf(readBranch(gitdir, 'live')), 'EISDIR');
    const file = join(gitdir, 'HEAD');
    assert.is(await codeOf(readBranch(file, 'live')), 'ENOTDIR');
    assert.is(await codeOf(moveBranch(file, 'live', undefined, a)), 'ENOTDIR');
    const busy = join(gitdir, 'refs', 'heads', 'main.lock');
    symlinkSync('main.lock', busy);
    assert.is(await codeOf(moveBranch(gitdir, 'main', undefined, a, impatient)), 'ELOOP');
  });
});

test('a branch file that holds no commit id is no branch', async () => {
  await withGit(async (gitdir) => {
    writeFileSync(join(gitdir, 'refs', 'heads', 'live'), 'ref: refs/heads/main\n');
    assert.is(await codeOf(readBranch(gitdir, 'live')), 'E-GIT-REPOSITORY');
  });
});

test.run();
