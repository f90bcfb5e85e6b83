// Whether git can be written now, for those who are about to ask for launch tokens, and for `/readyz`.

import type { OpenClusterRepo } from '../clusterrepo/clusterrepo.ts';
import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { ClusterRepo, Lease } from '../domain/ports.ts';
import type { PartState } from './readiness.ts';

/** A host that answered this recently is not asked again, ms. */
const freshMs = 2_000;

type Watched = Pick<OpenClusterRepo, 'health' | 'refresh'>;

/** Looks at the git host when it was silent or has not been heard of lately; a sentence when it does not answer. */
export async function gitObstacle(repo: Watched, clock: Pick<Clock, 'now'>): Promise<string | undefined> {
  const before = repo.health();
  if (!before || (before.ok && clock.now() - (before.answeredAt ?? 0) < freshMs)) return undefined;
  try {
    await repo.refresh();
    const { ok, detail } = repo.health() ?? before;
    return ok ? undefined : `nothing is launched or committed: ${detail}`;
  } catch (error) {
    return `nothing is launched or committed until git answers: ${messageOf(error)}`;
  }
}

/** Nothing without a remote: what is on the disk is there. */
export function gitState(repo: Pick<Watched, 'health'>): PartState[] {
  const health = repo.health();
  return health ? [{ part: 'git', ok: health.ok, since: health.since, detail: health.detail }] : [];
}

/** Refuses to write `live` with E-IN-USE while another process decides. */
export function whileHeld<R extends Pick<ClusterRepo, 'commitLive' | 'propose'>>(
  repo: R,
  lease: Pick<Lease, 'held' | 'state'>,
): R {
  const guarded =
    <A, T>(write: (argument: A) => Promise<T>) =>
    (argument: A): Promise<T> => {
      if (lease.held()) return write(argument);
      const message = `another process decides: ${lease.state().holder}`;
      return Promise.reject(new MinerError('E-IN-USE', message));
    };
  return { ...repo, commitLive: guarded(repo.commitLive), propose: guarded(repo.propose) };
}
