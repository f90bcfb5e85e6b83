// Branches as git keeps them (files under refs/heads, packed-refs) and their compare-and-swap by git's own lock files: a `git push`
// into the same repository and a move made here exclude each other.

import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MinerError } from '../domain/errors.ts';
import { isErrno } from './files.ts';

export interface LockOptions {
  /** A lock file older than this is taken for the remains of a crash, ms; git holds one for milliseconds. */
  staleMs: number;
  /** How long to wait for another writer's lock, ms. */
  waitMs: number;
}

export const lockDefaults: LockOptions = { staleMs: 60_000, waitMs: 3_000 };

const oidPattern = /^[0-9a-f]{40}$/;

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Commit of a branch, undefined when there is no such branch. */
export async function readBranch(gitdir: string, branch: string): Promise<string | undefined> {
  const ref = `refs/heads/${branch}`;
  const loose = (await readText(join(gitdir, ref)))?.trim();
  if (loose !== undefined) {
    if (oidPattern.test(loose)) return loose;
    throw new MinerError('E-GIT-REPOSITORY', `${ref} holds no commit id`, { detail: { ref } });
  }
  const packed = (await readText(join(gitdir, 'packed-refs'))) ?? '';
  return new RegExp(`^([0-9a-f]{40}) ${ref}$`, 'm').exec(packed)?.[1];
}

/**
 * Put a lock left by a crash aside. Only the very file that was seen as stale: had somebody else replaced it meanwhile, their lock is
 * put back.
 */
async function breakStale(gitdir: string, lock: string, staleMs: number): Promise<boolean> {
  try {
    const seen = await stat(lock);
    if (Date.now() - seen.mtimeMs < staleMs) return false;
    const aside = join(gitdir, `stale-lock-${randomBytes(6).toString('hex')}`);
    await rename(lock, aside);
    const taken = await stat(aside);
    const same = taken.ino === seen.ino && taken.mtimeMs === seen.mtimeMs;
    if (!same) await link(aside, lock).catch(() => undefined);
    await rm(aside, { force: true });
    return same;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    throw error;
  }
}

async function takeLock(gitdir: string, lock: string, { staleMs, waitMs }: LockOptions) {
  await mkdir(dirname(lock), { recursive: true });
  const until = Date.now() + waitMs;
  for (;;) {
    try {
      return await open(lock, 'wx', 0o644);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    if (await breakStale(gitdir, lock, staleMs)) continue;
    if (Date.now() >= until) {
      throw new MinerError('E-GIT-REPOSITORY', `${lock} is held by another writer since ${waitMs} ms or longer`, {
        detail: { lock },
      });
    }
    await sleep(5 + Math.random() * 20);
  }
}

/**
 * Point `branch` to `next` if it is at `expected` (undefined: does not exist). Rejects with E-GIT-CONFLICT (`detail.found`) when it is
 * not, with E-GIT-REPOSITORY when the lock cannot be had in time. The objects must be written before.
 */
export async function moveBranch(
  gitdir: string,
  branch: string,
  expected: string | undefined,
  next: string,
  options: LockOptions = lockDefaults,
): Promise<void> {
  const path = join(gitdir, 'refs', 'heads', branch);
  const lock = `${path}.lock`;
  const file = await takeLock(gitdir, lock, options);
  let moved = false;
  try {
    const found = await readBranch(gitdir, branch);
    if (found !== expected) {
      throw new MinerError(
        'E-GIT-CONFLICT',
        `branch ${branch} is at ${found ?? 'nothing'}, not at ${expected ?? 'nothing'}`,
        {
          detail: { branch, expected, found },
        },
      );
    }
    await file.writeFile(`${next}\n`);
    await file.sync();
    await rename(lock, path);
    moved = true;
  } finally {
    await file.close();
    if (!moved) await rm(lock, { force: true });
  }
}
