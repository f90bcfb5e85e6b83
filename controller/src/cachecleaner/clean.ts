// One pass over the cache: scan, plan, remove, and plan again with what resisted, until the limits hold or nothing more may go.

import { statfsSync } from 'node:fs';
import { setImmediate as letSignalsIn } from 'node:timers/promises';
import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { emptyFolder, type Folder } from './folder.ts';
import type { Ledger } from './ledger.ts';
import {
  type CacheItem,
  createTally,
  type Known,
  type Limits,
  type Plan,
  type Protection,
  partialBytes,
  planRemovals,
  type Reason,
  totalBytes,
} from './plan.ts';
import { removePartial, takeOut } from './remove.ts';
import { createScanner } from './scan.ts';

export interface CleanOptions {
  ledger: Ledger;
  limits: Limits;
  /** Ids of chutes and names of models that stay. */
  pinned: ReadonlySet<string>;
  timeLimitMs: number;
  clock: Pick<Clock, 'now'>;
  /** Ends the pass early. */
  signal?: AbortSignal;
  /** Of the file system that holds the cache. */
  freeBytes?(): number;
}

export interface Removal {
  chuteId: string | undefined;
  name: string;
  bytes: number;
  reason: Reason | 'broken download';
  lastUsed: string;
}

export interface CleanReport {
  dryRun: boolean;
  /** False when the time was over; the next pass goes on. */
  complete: boolean;
  /** Size and free space are within the limits. */
  met: boolean;
  items: number;
  /** On disk, before and after. */
  bytes: number;
  bytesLeft: number;
  /** On the file system, afterwards. */
  freeBytes: number;
  removed: Removal[];
  /** How many items could not go, by what protects them. */
  kept: { [protection in Protection]?: number };
  /** Time of the last look at the node; without one every chute counts as in use. */
  seenAt: string | undefined;
  failures: { path: string; problem: string }[];
}

const timeOver = new Error('the time is over');

/** Rejects with E-CACHE when the cache cannot be listed; what resists by itself is a failure in the report. */
export async function cleanCache(options: CleanOptions): Promise<CleanReport> {
  const { ledger, limits, clock, pinned, freeBytes = () => freeOn(ledger.root) } = options;
  const { root, trash } = ledger;
  const now = clock.now();
  const stuck = new Set<CacheItem>();
  const known: Known = { lastUsed: ledger.lastUsed(), seenAt: ledger.seenAt(), pinned, stuck };
  const removed: Removal[] = [];
  const failures: CleanReport['failures'] = [];
  const onFailure = (path: string, problem: string) => failures.push({ path, problem });
  const ended = () => options.signal?.aborted === true || clock.now() - now > options.timeLimitMs;
  const goOn = () => {
    if (ended()) throw timeOver;
  };
  const scanner = createScanner({ root, now, goOn, onFailure });
  const isUsed = ({ chuteId = '' }: CacheItem) => ledger.lastUsedOf(chuteId) !== known.lastUsed.get(chuteId);

  function note(item: CacheItem, bytes: number, reason: Removal['reason'], lastUsed: number): void {
    const { chuteId, name } = item;
    removed.push({ chuteId, name, bytes, reason, lastUsed: new Date(lastUsed).toISOString() });
  }

  function emptyTrash(folder: Folder): void {
    emptyFolder(folder, ended, (problem) => onFailure('what was taken out', problem));
    goOn();
  }

  /** What is left of `items`. */
  async function remove(items: readonly CacheItem[], plan: Plan, into: Folder): Promise<CacheItem[]> {
    const gone = new Set<CacheItem>();
    const take = createTally();
    for (const { item, reason, lastUsed } of plan.removals) {
      goOn();
      const problem = takeOut({ item, root, trash: into, scanner, isUsed: () => isUsed(item) });
      if (problem === undefined) {
        gone.add(item);
        note(item, take(item) + partialBytes(item), reason, lastUsed);
      } else {
        stuck.add(item);
        onFailure(item.path.join('/'), problem);
      }
      await letSignalsIn();
    }
    for (const { shared } of gone) for (const [inode, names] of shared) inode.links -= names;
    emptyTrash(into);
    return items.filter((item) => !gone.has(item));
  }

  function removePartials({ partials }: Plan): void {
    for (const { item, partial } of partials) {
      goOn();
      if (isUsed(item)) continue;
      const problem = trash && removePartial(root, item, partial, now);
      if (problem === undefined) note(item, partial.bytes, 'broken download', item.changedAt);
      else onFailure([...item.path, ...partial.path].join('/'), problem);
    }
  }

  let plan: Plan | undefined;
  let found: CacheItem[] = [];
  let bytes = 0;
  let complete = false;
  try {
    if (trash) emptyTrash(trash);
    found = await scanner.items();
    bytes = totalBytes(found);
    plan = planRemovals(found, freeBytes(), known, limits, now);
    if (!trash) for (const one of plan.removals) note(one.item, one.bytes, one.reason, one.lastUsed);
    for (let items = found; trash && plan.removals.length > 0; ) {
      items = await remove(items, plan, trash);
      plan = planRemovals(items, freeBytes(), known, limits, now);
    }
    removePartials(plan);
    complete = true;
  } catch (error) {
    if (error !== timeOver) throw new MinerError('E-CACHE', `cleaning failed: ${messageOf(error)}`, { cause: error });
  }
  const freed = removed.reduce((sum, one) => sum + one.bytes, 0);
  const free = freeBytes() + (trash ? 0 : freed);
  const kept: CleanReport['kept'] = {};
  for (const protection of plan?.kept.values() ?? []) kept[protection] = (kept[protection] ?? 0) + 1;
  return {
    dryRun: !trash,
    complete,
    met: plan !== undefined && bytes - freed <= limits.maxBytes && free >= limits.minFreeBytes,
    items: found.length,
    bytes,
    bytesLeft: bytes - freed,
    freeBytes: free,
    removed,
    kept,
    seenAt: known.seenAt === undefined ? undefined : new Date(known.seenAt).toISOString(),
    failures,
  };
}

function freeOn(root: Folder): number {
  const { bavail, bsize } = statfsSync(root.at('.'));
  return bavail * bsize;
}
