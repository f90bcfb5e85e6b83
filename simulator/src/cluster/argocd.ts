// The stand-in for Argo CD: follows branch `live` of a bare repository, one Application per server. A member that is down or a file
// that cannot be applied blocks nobody else.

import { existsSync, type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@miner/controller/domain/clock.ts';
import {
  applicationName,
  type DesiredState,
  desiredState,
  hasDrifted,
  managedResources,
  syncApplication,
} from './application.ts';
import { createDeadlines } from './deadlines.ts';
import { createManifestReader, type LiveManifests } from './gittree.ts';
import type { Member } from './member.ts';
import type { Ledger } from './record.ts';
import type { Change } from './store.ts';

export interface ApplicationStatus {
  name: string;
  server: string;
  sync: 'Synced' | 'OutOfSync' | 'Unknown';
  /** Commit it was last compared with. */
  revision: string | undefined;
  failures: readonly string[];
  /** ms; undefined before the first comparison. */
  syncedAt: number | undefined;
}

export interface ArgoCd {
  readonly lastSyncedCommit: string | undefined;
  applications(): ApplicationStatus[];
  /** Compare with the head of `live` now. */
  refresh(): Promise<void>;
  /** A change on a member: what was deleted or altered by others is put right after a while. */
  handle(server: string, change: Change): void;
  /** The member can be reached again. */
  reconnected(server: string): void;
  close(): Promise<void>;
}

export interface ArgoCdOptions {
  repository: string;
  members: ReadonlyMap<string, Member>;
  clock: Clock;
  ledger: Ledger;
  onSynced: (commit: string) => void;
  onError: (error: unknown) => void;
}

const pollMs = 250;
const selfHealSeconds = 5;
const retryLimit = 5;

export function startArgoCd(options: ArgoCdOptions): ArgoCd {
  const { clock, ledger, members } = options;
  const reader = createManifestReader(options.repository);
  const deadlines = createDeadlines(clock, (_, error) => options.onError(error));
  const statuses = new Map<string, ApplicationStatus>();
  const desired = new Map<string, DesiredState>();
  const retries = new Map<string, number>();
  let live: LiveManifests | undefined;
  let lastSyncedCommit: string | undefined;
  let round: Promise<void> | undefined;
  let again = false;
  let closed = false;

  function syncServer(server: string): void {
    const member = members.get(server);
    const want = desired.get(server);
    const result =
      member && want
        ? syncApplication(member, want, ledger)
        : ({ sync: 'Unknown', failures: [`cluster ${server} is not known`] } as const);
    const revision = live?.commit;
    const { sync, failures } = result;
    statuses.set(server, { name: applicationName(server), server, sync, failures, revision, syncedAt: clock.now() });
    if (sync === 'Synced') retries.delete(server);
    const tried = retries.get(server) ?? 0;
    if (sync === 'OutOfSync' && tried < retryLimit) {
      retries.set(server, tried + 1);
      deadlines.set(server, clock.now() + selfHealSeconds * 1000 * 2 ** tried, () => syncServer(server));
    }
  }

  async function compare(): Promise<void> {
    const head = await reader.head();
    if (head === undefined || head === live?.commit || closed) return;
    const previous = live;
    const next = await reader.read(head, previous);
    if (closed) return;
    live = next;
    for (const server of new Set([...members.keys(), ...next.servers.keys(), ...statuses.keys()])) {
      const tree = next.servers.get(server);
      const status = statuses.get(server);
      if (desired.has(server) && tree?.oid === previous?.servers.get(server)?.oid) {
        // Nothing of this Application changed; it is compared with the new commit all the same.
        if (status) statuses.set(server, { ...status, revision: head });
        continue;
      }
      desired.set(server, desiredState(server, tree, ledger));
      retries.delete(server);
      syncServer(server);
    }
    lastSyncedCommit = head;
    options.onSynced(head);
  }

  async function rounds(): Promise<void> {
    try {
      do {
        again = false;
        await compare();
      } while (again && !closed);
    } catch (error) {
      options.onError(error);
    } finally {
      round = undefined;
    }
  }

  function refresh(): Promise<void> {
    again = true;
    round ??= rounds();
    return round;
  }

  const heads = join(options.repository, 'refs', 'heads');
  let watcher: FSWatcher | undefined;
  /** The repository may not be there yet; the poll tries again. */
  function watchHeads(): void {
    if (watcher || !existsSync(heads)) return;
    watcher = watch(heads, () => void refresh());
    watcher.on('error', options.onError);
  }
  const poll = setInterval(() => {
    watchHeads();
    void refresh();
  }, pollMs);
  watchHeads();

  return {
    get lastSyncedCommit() {
      return lastSyncedCommit;
    },
    applications: () => [...statuses.values()],
    refresh,
    handle(server, { resource, object }) {
      const member = members.get(server);
      const want = desired.get(server);
      if (!member || !want || !managedResources.has(resource)) return;
      if (!hasDrifted(member, want, resource, object.metadata.name)) return;
      deadlines.set(server, clock.now() + selfHealSeconds * 1000, () => syncServer(server));
    },
    reconnected(server) {
      if (desired.has(server)) syncServer(server);
    },
    async close() {
      closed = true;
      clearInterval(poll);
      watcher?.close();
      deadlines.cancelAll();
      await round;
    },
  };
}
