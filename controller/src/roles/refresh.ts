// Tells whoever can reach Argo CD which folders of `live` have moved, as soon as this process knows: after its own commits, and when it
// first reads what somebody else has pushed.

import type { Logger } from 'pino';
import type { OpenClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { messageOf } from '../domain/errors.ts';
import type { ControllerLink } from '../domain/ports.ts';

type Followed = Pick<OpenClusterRepo, 'commitLive' | 'readLive' | 'rerender' | 'movedFolders'>;

/** The same repository, watched. What is not known to be told yet when it is first read is what the newest commit has changed. */
export function withRefresh<R extends Followed>(
  repo: R,
  link: Pick<ControllerLink, 'refreshApplications'>,
  log: Pick<Logger, 'warn'>,
): R {
  let told: string | undefined;
  let turn: Promise<void> = Promise.resolve();

  async function tell(commit: string): Promise<void> {
    if (commit === told) return;
    const folders = await repo.movedFolders(told, commit);
    told = commit;
    if (folders.length > 0) link.refreshApplications(folders, commit);
  }

  function moved(commit: string): void {
    turn = turn
      .then(() => tell(commit))
      .catch((error: unknown) => log.warn(`which Applications have changed is not known: ${messageOf(error)}`));
  }

  return {
    ...repo,
    async commitLive(batch) {
      const live = await repo.commitLive(batch);
      moved(live.commit);
      return live;
    },
    async readLive() {
      const live = await repo.readLive();
      moved(live.commit);
      return live;
    },
    async rerender(main, mayWrite) {
      const made = await repo.rerender(main, mayWrite);
      if (made) moved(made.commit);
      return made;
    },
  };
}
