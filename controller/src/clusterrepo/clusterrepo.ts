// The cluster repository: a bare git repository with branch `main` (people) and branch `live` (machine). Works on the object store
// alone; several processes and any `git push` may use it at the same time.

import type { Clock } from '../domain/clock.ts';
import type { ClusterRepo } from '../domain/ports.ts';
import { ensureBranches, ensureGitdir } from './create.ts';
import { guardTree } from './guard.ts';
import { type LiveOptions, openLiveBranch } from './livebranch.ts';
import { openMainBranch } from './mainbranch.ts';
import type { LockOptions } from './refs.ts';
import { type Author, openRepository } from './repository.ts';

export interface ClusterRepoOptions {
  /** The bare repository itself; made when it does not exist or is an empty folder. */
  dir: string;
  /** Folder whose files become the first commit of `main`; only read when the repository is new. */
  template: string;
  render: LiveOptions['render'];
  lookup: LiveOptions['lookup'];
  /** Default: the rules of guard.ts. */
  guard?: typeof guardTree | undefined;
  author?: Author | undefined;
  clock: Clock;
  /** Called once for every file on `live` that cannot be read or breaks a rule by itself. */
  onBadFile?: ((path: string, problem: string) => void) | undefined;
  locks?: LockOptions | undefined;
}

const defaultAuthor: Author = { name: 'gepetto', email: 'gepetto@localhost' };

/** Rejects with E-GIT-REPOSITORY when `dir` holds something else than a bare repository that can be used. */
export async function openClusterRepo(options: ClusterRepoOptions): Promise<ClusterRepo> {
  const { dir, template, render, lookup, clock, onBadFile } = options;
  await ensureGitdir(dir);
  const repository = await openRepository(dir, options.author ?? defaultAuthor, options.locks);
  await ensureBranches(repository, template, clock.now());
  const main = openMainBranch(repository, clock);
  const live = openLiveBranch(repository, {
    render,
    lookup,
    clock,
    onBadFile,
    guard: options.guard ?? guardTree,
    configAt: async (commit) => (await main.readAt(commit)).config,
  });
  return {
    readMain: main.read,
    readLastGoodMain: main.readLastGood,
    writeServer: main.writeServer,
    removeServer: main.removeServer,
    readLive: live.read,
    commitLive: live.commit,
  };
}
