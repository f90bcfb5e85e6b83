// Compare-and-swap of the authoritative branch: the local one, or the git host's with the local one after it. A push whose answer was
// lost is looked up afterwards; it counts as landed only when the remote has the commit.

import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { writeRef } from './files.ts';
import type { Follower } from './follow.ts';
import { type LockOptions, moveBranch } from './refs.ts';
import { type PushOutcome, type Remote, trackingRef } from './remote.ts';

export interface BranchMove {
  branch: string;
  /** Commit the branch is at; undefined when it is to be made. */
  expected: string | undefined;
  /** The branch is this program's alone: at a git host it is moved wherever it is. */
  replaces?: boolean | undefined;
  /** Commit it shall be at; its objects are written. */
  next: string;
  /** Set together with the branch, wherever it was before. */
  tag?: { name: string; commit: string } | undefined;
}

export interface Publisher {
  /**
   * Rejects with E-GIT-CONFLICT (`detail.found`) when the branch is elsewhere, else with E-GIT-REPOSITORY; `detail.timedOut` says that
   * the remote took too long, `detail.mayLand` that it may still move. `pack` makes a pack of all objects that are new with `next`.
   */
  publish(move: BranchMove, pack: () => Buffer): Promise<void>;
}

async function writeTag(gitdir: string, { name, commit }: { name: string; commit: string }): Promise<void> {
  await writeRef(gitdir, `refs/tags/${name}`, commit);
}

export function createLocalPublisher(gitdir: string, locks?: LockOptions): Publisher {
  return {
    async publish({ branch, expected, next, tag }) {
      if (tag) await writeTag(gitdir, tag);
      await moveBranch(gitdir, branch, expected, next, locks);
    },
  };
}

export interface RemotePublisherOptions {
  remote: Remote;
  follower: Follower;
  clock: Clock;
  locks: LockOptions | undefined;
  onProblem: (problem: string) => void;
}

/** A push that was cut off is looked for this long after: the host may still be working on it, ms. */
const settleMs = [0, 500, 1_500];

export function createRemotePublisher({
  remote,
  follower,
  clock,
  locks,
  onProblem,
}: RemotePublisherOptions): Publisher {
  const { gitdir } = remote.git;

  async function keep({ branch, expected, next, tag }: BranchMove): Promise<void> {
    try {
      await writeRef(gitdir, trackingRef(branch), next);
      if (tag) await writeTag(gitdir, tag);
      await moveBranch(gitdir, branch, expected, next, locks);
    } catch (error) {
      // The commit is where it counts; the next look brings the copy up to it.
      onProblem(`${gitdir} could not follow its own push: ${messageOf(error)}`);
    }
  }

  function conflict({ branch, expected }: BranchMove, found: string | undefined): MinerError {
    const message = `branch ${branch} of ${remote.url} is at ${found ?? 'nothing'}, not at ${expected ?? 'nothing'}`;
    return new MinerError('E-GIT-CONFLICT', message, { detail: { branch, expected, found } });
  }

  /** True when the commit is on the remote after all; rejects when the branch is elsewhere or the remote does not say. */
  async function landed(move: BranchMove, outcome: Exclude<PushOutcome, { kind: 'moved' }>): Promise<boolean> {
    const waits = outcome.kind === 'unknown' ? settleMs : [0];
    for (const wait of waits) {
      if (wait > 0) await clock.sleep(wait);
      const found = await follower.look(move.branch);
      if (found === move.next) return true;
      if (found !== undefined && found !== move.expected && (await follower.isAncestor(move.next, found))) return true;
      if (found !== move.expected) throw conflict(move, found);
      if (outcome.kind === 'refused' && outcome.raced) throw conflict(move, found);
    }
    return false;
  }

  return {
    async publish(move, pack) {
      follower.demandSafe(move.branch);
      const { branch, next, tag } = move;
      const expected = move.replaces ? ('any' as const) : move.expected;
      const refs = [{ ref: `refs/heads/${branch}`, commit: next, expected }];
      const tags = tag ? [{ ref: `refs/tags/${tag.name}`, commit: tag.commit, expected: 'any' as const }] : [];
      const outcome = await remote.push([...refs, ...tags], pack);
      if (outcome.kind === 'moved') return keep(move);
      const mayLand = outcome.kind === 'unknown';
      const timedOut = mayLand && outcome.timedOut;
      try {
        if (await landed(move, outcome)) return;
      } catch (error) {
        if (error instanceof MinerError && error.code === 'E-GIT-CONFLICT') throw error;
        throw new MinerError('E-GIT-REPOSITORY', `${outcome.reason}; and then: ${messageOf(error)}`, {
          detail: { url: remote.url, timedOut, mayLand },
          cause: error,
        });
      }
      const reason = outcome.kind === 'refused' ? `${remote.url} refused ${branch}: ${outcome.reason}` : outcome.reason;
      throw new MinerError('E-GIT-REPOSITORY', reason, { detail: { url: remote.url, timedOut, mayLand } });
    },
  };
}
