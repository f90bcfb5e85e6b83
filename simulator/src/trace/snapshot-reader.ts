// Snapshots from lines of JSON. Consecutive snapshots say mostly the same: a server or chute whose text did not change is the same object
// as before, so that whoever works on changes only can tell by identity.

import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { ChuteView, ServerView, Snapshot } from './protocol.ts';

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

/** Keeps what the last snapshot held, by name. */
function createKeeper<T>(nameOf: (item: T) => string): (items: readonly T[]) => T[] {
  let known = new Map<string, T>();
  return (items) => {
    const next = new Map<string, T>();
    const kept = items.map((item) => {
      const name = nameOf(item);
      const before = known.get(name);
      const same = before !== undefined && isSame(before, item) ? before : item;
      next.set(name, same);
      return same;
    });
    known = next;
    return kept;
  };
}

export type ReadSnapshot = (line: string) => Snapshot;

/** Throws E-USAGE for a line that is no snapshot. */
export function createSnapshotReader(): ReadSnapshot {
  const servers = createKeeper<ServerView>(({ name }) => name);
  const chutes = createKeeper<ChuteView>(({ chute_id }) => chute_id);
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
