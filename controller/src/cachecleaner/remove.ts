// Takes one model out of the cache in a single step, a rename into the cleaner's own folder, where no chute reaches it; puts it back when
// somebody used it meanwhile. Both sides are reached through open folders only.

import { renameSync, unlinkSync } from 'node:fs';
import { codeOf, type Folder, inside, problemOf, statEntry } from './folder.ts';
import { type CacheItem, type Partial, startingMs } from './plan.ts';
import type { Scanner } from './scan.ts';

export interface TakeOutParts {
  item: CacheItem;
  root: Folder;
  trash: Folder;
  scanner: Pick<Scanner, 'changedAt'>;
  /** Whether its chute started since the cache was scanned. */
  isUsed(): boolean;
}

let taken = 0;

/** The problem in words when it stays. One that is gone already is none. */
export function takeOut({ item, root, trash, scanner, isUsed }: TakeOutParts): string | undefined {
  const parent = item.path.slice(0, -1);
  const name = item.path.at(-1) ?? '';
  const place = `${process.pid}-${process.hrtime.bigint()}-${taken++}`;
  try {
    if (isUsed()) return 'is in use since';
    return inside(root, parent, (folder) => {
      renameSync(folder.at(name), trash.at(place));
      let why: string | false = 'could not be looked at again';
      try {
        const changed = () => scanner.changedAt(trash, place) > item.changedAt && 'was changed since';
        why = isUsed() ? 'is in use since' : changed();
      } finally {
        if (why) renameSync(trash.at(place), folder.at(name));
      }
      if (why) return why;
      if (parent.at(-1) === 'hub') takeLocks(folder, name, trash, `${place}-locks`);
      return undefined;
    });
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : problemOf('removed', error);
  }
}

/** What a download of the model locks; of no use without it. */
function takeLocks(hub: Folder, model: string, trash: Folder, place: string): void {
  try {
    inside(hub, ['.locks'], (locks) => renameSync(locks.at(model), trash.at(place)));
  } catch {
    // They hold no bytes: there are none, or they stay.
  }
}

/** The problem in words when it stays. `now`: ms since the Unix epoch. */
export function removePartial(root: Folder, item: CacheItem, partial: Partial, now: number): string | undefined {
  const path = [...item.path, ...partial.path];
  const name = path.pop() ?? '';
  try {
    return inside(root, path, (folder) => {
      if ((statEntry(folder, name)?.mtimeMs ?? 0) >= now - startingMs) return 'is being downloaded since';
      unlinkSync(folder.at(name));
      return undefined;
    });
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : problemOf('removed', error);
  }
}
