// Keeps history and store of the cluster repository short: once a day what is old becomes one commit, and the store is packed when it has
// grown. Both wait for the next time when git is away or another process decides.

import type { Logger } from 'pino';
import type { OpenClusterRepo } from '../clusterrepo/clusterrepo.ts';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { GitUpkeepOptions } from './gitoptions.ts';

export interface GitUpkeepParts extends GitUpkeepOptions {
  repo: Pick<OpenClusterRepo, 'squash' | 'tidy'>;
  clock: Clock;
  /** Whether this process may write `live` now. */
  mayWrite(): boolean;
  log: Pick<Logger, 'info' | 'warn'>;
}

const squashEveryMs = 86_400_000;
/** The first time, so that a miner that is restarted every day squashes too; ms. */
const firstSquashMs = 3_600_000;

/** Ends what it began before `stop` resolves. */
export function startGitUpkeep(parts: GitUpkeepParts): { stop(): Promise<void> } {
  const { repo, clock, squashAgeMs, tidyEveryMs, mayWrite, log } = parts;
  const stopped = new AbortController();
  let squashAt = clock.now() + firstSquashMs;
  let tidyAt = clock.now() + tidyEveryMs;

  async function squash(olderThanMs: number): Promise<void> {
    const squashed = await repo.squash({ olderThanMs });
    if (squashed) log.info(squashed, `${squashed.archived} old commits of live are one now, under tag ${squashed.tag}`);
  }

  async function attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    await work().catch((error: unknown) => log.warn(`${what}: ${messageOf(error)}`));
  }

  async function run(): Promise<void> {
    for (;;) {
      await clock.sleep(Math.max(0, Math.min(squashAt, tidyAt) - clock.now()), stopped.signal);
      if (stopped.signal.aborted) return;
      if (clock.now() >= squashAt) {
        squashAt = clock.now() + squashEveryMs;
        if (squashAgeMs !== undefined && mayWrite()) {
          await attempt('history of live could not be shortened', () => squash(squashAgeMs));
        }
      }
      if (clock.now() >= tidyAt) {
        tidyAt = clock.now() + tidyEveryMs;
        await attempt('the local store of git could not be packed', repo.tidy);
      }
    }
  }

  const running = run();
  return {
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
