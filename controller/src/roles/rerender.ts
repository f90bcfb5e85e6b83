// Renders `live` anew after `main` has moved, and once after a start, because the renderer may be another one then. Beside the passes: a
// large fleet takes seconds, and no decision waits for it.

import type { Logger } from 'pino';
import type { OpenClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { messageOf } from '../domain/errors.ts';
import type { MainTree } from '../domain/ports.ts';

export interface RerenderParts {
  repo: Pick<OpenClusterRepo, 'rerender'>;
  mayWrite(): boolean;
  log: Pick<Logger, 'info' | 'warn'>;
}

export interface Rerender {
  /** After each pass, with what it was made on; what failed is tried again after the next. */
  after(main: MainTree): void;
  stop(): Promise<void>;
}

export function createRerenders({ repo, mayWrite, log }: RerenderParts): Rerender {
  let rendered: string | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;
  let complaint = '';

  async function render(main: MainTree): Promise<void> {
    try {
      const made = await repo.rerender(main, () => !stopped && mayWrite());
      if (!made) return;
      rendered = main.commit;
      complaint = '';
      const { changed, kept, commit } = made;
      if (changed.length > 0) log.info({ commit, kept }, `${changed.length} files of live rendered anew`);
    } catch (error) {
      if (messageOf(error) !== complaint) log.warn(`live is not rendered anew: ${messageOf(error)}`);
      complaint = messageOf(error);
    }
  }

  return {
    after(main) {
      if (stopped || running || rendered === main.commit) return;
      running = render(main).finally(() => {
        running = undefined;
      });
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
