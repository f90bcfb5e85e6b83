// Keeps the local branches where the remote's are. History that somebody replaced is reported; a `live` that was removed or emptied that
// way is no wish: the local branch stays, and nothing is read from `live` or written to it until a person has mended it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MinerError } from '../domain/errors.ts';
import { isErrno } from './files.ts';
import { type LockOptions, moveBranch, readBranch } from './refs.ts';
import { type Remote, trackingRef } from './remote.ts';

export const branches = ['main', 'live'] as const;

export interface Follower {
  /** Brings both branches up to date; where the remote's `branch` is now. Rejects with E-GIT-REPOSITORY. */
  look(branch?: string): Promise<string | undefined>;
  /** Whether `older` is `newer` or in its history. */
  isAncestor(older: string, newer: string): Promise<boolean>;
  /** Throws E-GIT-REPOSITORY while the branch may not be used. */
  demandSafe(branch: string): void;
  /** Fetch the history that was left out at first. */
  deepen(): Promise<void>;
}

export interface FollowerOptions {
  remote: Remote;
  locks: LockOptions | undefined;
  onProblem: (problem: string) => void;
  /** Somebody else moved a branch. */
  onMoved: () => void;
}

/** Commits looked through for the tree that was the newest before history was replaced. */
const searchedCommits = 5_000;

export function createFollower({ remote, locks, onProblem, onMoved }: FollowerOptions): Follower {
  const { git, url } = remote;
  const { gitdir } = git;
  const held = new Map<string, string>();

  async function tracked(branch: string): Promise<string | undefined> {
    try {
      return (await readFile(join(gitdir, trackingRef(branch)), 'utf8')).trim();
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async function isAncestor(older: string, newer: string): Promise<boolean> {
    return older === newer || (await git.run(['merge-base', '--is-ancestor', older, newer])).code === 0;
  }

  async function hasDeployments(commit: string): Promise<boolean> {
    return (await git.run(['rev-parse', '--quiet', '--verify', `${commit}:chutes`])).code === 0;
  }

  /** A squash changes commits and keeps their trees. */
  async function keepsTree(before: string, after: string): Promise<boolean> {
    const tree = (await git.run(['rev-parse', '--quiet', '--verify', `${before}^{tree}`])).stdout.trim();
    const trees = await git.run(['log', '--format=%T', '-n', String(searchedCommits), after]);
    return tree !== '' && trees.stdout.split('\n').includes(tree);
  }

  function hold(branch: string, what: string, before: string): void {
    const back = `bring it back with: git -C ${gitdir} push --force ${url} ${before}:${remote.nameOf(`refs/heads/${branch}`)}`;
    const problem = `branch ${branch} of ${url} ${what}, it was at ${before}; ${back} (if it is meant: stop the miner and remove ${gitdir})`;
    if (held.get(branch) !== problem) onProblem(problem);
    held.set(branch, problem);
  }

  async function adopt(branch: string, next: string | undefined): Promise<void> {
    const before = await readBranch(gitdir, branch);
    if (next === before) {
      held.delete(branch);
      return;
    }
    if (before !== undefined) {
      if (next === undefined) return hold(branch, 'was removed', before);
      if (!(await isAncestor(before, next)) && !(await keepsTree(before, next))) {
        const emptied = branch === 'live' && (await hasDeployments(before)) && !(await hasDeployments(next));
        if (emptied) return hold(branch, 'was emptied by a push that replaced its history', before);
        const how = (await isAncestor(next, before)) ? 'was taken back to an older commit' : 'has another history now';
        onProblem(`branch ${branch} of ${url} ${how}: it was at ${before} and is at ${next ?? 'nothing'}`);
      }
    }
    if (next === undefined) return;
    held.delete(branch);
    await moveBranch(gitdir, branch, before, next, locks);
    onMoved();
  }

  async function look(asked?: string): Promise<string | undefined> {
    const heads = await remote.heads(branches.map((branch) => `refs/heads/${branch}`));
    const locals = new Map<string, string | undefined>();
    for (const branch of branches) locals.set(branch, await readBranch(gitdir, branch));
    const found = new Map<string, string | undefined>();
    const wanted: string[] = [];
    for (const branch of branches) {
      const head = heads.get(`refs/heads/${branch}`);
      found.set(branch, head);
      if (head !== undefined && head !== locals.get(branch) && head !== (await tracked(branch))) wanted.push(branch);
    }
    if (wanted.length > 0) {
      const isNew = [...locals.values()].every((local) => local === undefined);
      await remote.fetch(wanted, isNew ? 'first' : 'more');
      // The branch may have moved on since it was asked for.
      for (const branch of wanted) found.set(branch, await tracked(branch));
    }
    for (const branch of branches) await adopt(branch, found.get(branch));
    return asked === undefined ? undefined : found.get(asked);
  }

  return {
    look,
    isAncestor,
    demandSafe(branch) {
      // What `main` said last goes on to hold.
      const problem = branch === 'live' ? held.get(branch) : undefined;
      if (problem !== undefined) throw new MinerError('E-GIT-REPOSITORY', problem, { detail: { branch, url } });
    },
    async deepen() {
      const shallow = await readFile(join(gitdir, 'shallow'), 'utf8').catch(() => '');
      if (shallow.trim() !== '') await remote.fetch(branches, 'all');
    },
  };
}
