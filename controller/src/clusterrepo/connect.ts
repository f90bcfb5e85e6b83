// Ties a local store to its git host: fetched at the start and from then on regularly, with every commit pushed before the local branch
// moves. Without the host a start goes on from the copy, and says so.

import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { RemoteHealth } from '../domain/ports.ts';
import { createContact } from './contact.ts';
import type { CreateOptions } from './create.ts';
import { createFollower, type Follower } from './follow.ts';
import { createRemotePublisher, type Publisher } from './publish.ts';
import { createQueue, type Queue } from './queue.ts';
import { type LockOptions, readBranch } from './refs.ts';
import { clearRemains } from './remains.ts';
import { openRemote, type RemoteOptions, remoteDefaults } from './remote.ts';

export interface ConnectionOptions {
  gitdir: string;
  remote: RemoteOptions;
  clock: Clock;
  locks: LockOptions | undefined;
  onProblem: (problem: string) => void;
  onMoved: () => void;
}

export interface Connection {
  alone: Queue;
  publisher: Publisher;
  follower: Follower;
  startTag: NonNullable<CreateOptions['startTag']>;
  /** Rejects with E-GIT-REPOSITORY when the remote does not answer. */
  refresh(): Promise<void>;
  health(): RemoteHealth;
  /** Look regularly; `afterwards` is called after each look. */
  start(afterwards: () => Promise<void>): void;
  /** Resolves when the work in progress has ended. */
  close(): Promise<void>;
}

const startTagName = 'live-start';

/** Rejects with E-GIT-REPOSITORY when the remote does not answer and there is no copy, with E-USAGE when the options are wrong. */
export async function connectRemote(options: ConnectionOptions): Promise<Connection> {
  const { gitdir, clock, locks, onProblem, onMoved } = options;
  const remote = openRemote(gitdir, options.remote);
  const alone = createQueue();
  const contact = createContact(clock);
  const follower = contact.noteLooks(createFollower({ remote, locks, onProblem, onMoved }));
  const publisher = contact.notePushes(createRemotePublisher({ remote, follower, clock, locks, onProblem }));
  const stopped = new AbortController();
  const everyMs = options.remote.everyMs ?? remoteDefaults.everyMs;
  let away = false;
  let running: Promise<void> | undefined;

  async function hasCopy(): Promise<boolean> {
    return (await readBranch(gitdir, 'main')) !== undefined && (await readBranch(gitdir, 'live')) !== undefined;
  }

  const refresh = () => alone(async () => void (await follower.look()));

  async function lookOnce(): Promise<void> {
    try {
      await refresh();
      if (away) onProblem(`git remote ${remote.url} answers again`);
      away = false;
    } catch (error) {
      if (!away) onProblem(messageOf(error));
      away = true;
    }
  }

  async function follow(afterwards: () => Promise<void>): Promise<void> {
    for (;;) {
      await clock.sleep(everyMs, stopped.signal);
      if (stopped.signal.aborted) return;
      await lookOnce();
      await afterwards().catch((error: unknown) => onProblem(messageOf(error)));
    }
  }

  await clearRemains(gitdir);
  try {
    await refresh();
  } catch (error) {
    if (!(await hasCopy())) throw error;
    away = true;
    onProblem(`${messageOf(error)}; going on with the copy in ${gitdir}, which may be old`);
  }
  return {
    alone,
    publisher,
    follower,
    refresh,
    health() {
      try {
        follower.demandSafe('live');
        return contact.health();
      } catch (error) {
        return { ...contact.health(), ok: false, detail: messageOf(error) };
      }
    },
    startTag: {
      name: startTagName,
      async isAlone() {
        const [tag, branch] = [`refs/tags/${startTagName}`, 'refs/heads/live'];
        const heads = await remote.heads([tag, branch]);
        return heads.has(tag) && !heads.has(branch);
      },
    },
    start(afterwards) {
      running = follow(afterwards);
    },
    async close() {
      stopped.abort();
      await running;
      await alone(async () => undefined);
    },
  };
}
