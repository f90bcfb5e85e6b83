// Snapshots from lines of JSON. Consecutive snapshots say mostly the same: a server or chute whose text did not change is the same object
// as before, so that whoever works on changes only can tell by identity.

import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { ChuteView, ServerView, Snapshot } from './protocol.ts';

/** Keeps what the last snapshot held by its text. */
function createKeeper<T>(): (items: readonly T[]) => T[] {
  let known = new Map<string, T>();
  return (items) => {
    const next = new Map<string, T>();
    const kept = items.map((item) => {
      const text = JSON.stringify(item);
      const same = known.get(text) ?? item;
      next.set(text, same);
      return same;
    });
    known = next;
    return kept;
  };
}

export type ReadSnapshot = (line: string) => Snapshot;

/** Throws E-USAGE for a line that is no snapshot. */
export function createSnapshotReader(): ReadSnapshot {
  const servers = createKeeper<ServerView>();
  const chutes = createKeeper<ChuteView>();
  return (line) => {
    let snapshot: Snapshot;
    try {
      snapshot = JSON.parse(line);
    } catch (error) {
      throw new MinerError('E-USAGE', `A line of the input is not JSON: ${messageOf(error)}`, { cause: error });
    }
    if (snapshot?.format !== 1 || !Array.isArray(snapshot.servers) || !Array.isArray(snapshot.chutes)) {
      throw new MinerError('E-USAGE', 'A line of the input is not a snapshot of format 1.');
    }
    return { ...snapshot, servers: servers(snapshot.servers), chutes: chutes(snapshot.chutes) };
  };
}
