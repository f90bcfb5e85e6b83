// The cluster repository as a role opens it: rendering, the git host of the options, and its reports into the log.

import { renderChute } from '@miner/manifests/charts/chute.ts';
import type { Logger } from 'pino';
import { type ClusterRepoOptions, type OpenClusterRepo, openClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { systemClock } from '../domain/clock.ts';
import type { TreeRenderer } from '../domain/ports.ts';
import { takeLock } from '../store/lock.ts';
import type { GitOptions } from './gitoptions.ts';

/** What a role wants to know of the repository. */
export interface RepositoryListeners {
  lookup: ClusterRepoOptions['lookup'];
  /** Somebody else moved a branch. */
  onMoved?: (() => void) | undefined;
  onProblem?: (() => void) | undefined;
}

export interface RepositoryOptions extends RepositoryListeners {
  dir: string;
  template: string;
  git: GitOptions;
  log: Logger;
}

/** Charts take a while to load and are needed only where `live` is written, after the first pass. */
const renderTree: TreeRenderer = {
  folders: ['argocd', 'control', 'members'],
  async render({ config, servers }) {
    const manifests = await import('@miner/manifests/render.ts');
    return manifests.renderTreeInTurns(config, servers);
  },
};

/** A copy of a remote is of one process: rejects with E-IN-USE while another one has it. Rejects like `openClusterRepo` too. */
export async function openRepository(options: RepositoryOptions): Promise<OpenClusterRepo> {
  const { dir, template, git, log, lookup, onMoved, onProblem } = options;
  const release = git.remote && (await takeLock(`${dir}.lock`));
  try {
    const repo = await openClusterRepo({
      dir,
      template,
      clock: systemClock,
      render: renderChute,
      renderTree,
      lookup,
      remote: git.remote,
      author: git.author,
      signing: git.signing,
      onMoved,
      onProblem(problem) {
        log.error(problem);
        onProblem?.();
      },
      onBadFile: (path, problem) => log.error({ path }, `file on live: ${problem}`),
    });
    return {
      ...repo,
      async close() {
        await repo.close();
        await release?.();
      },
    };
  } catch (error) {
    await release?.();
    throw error;
  }
}
