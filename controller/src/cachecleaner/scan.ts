// What is in the cache, as whole models with what they really take on disk. Links are counted as links and never followed, other file
// systems are not entered; what cannot be read is reported and the rest goes on.

import type { Stats } from 'node:fs';
import { setImmediate as letSignalsIn } from 'node:timers/promises';
import { isUuid } from '../domain/ids.ts';
import { codeOf, type Folder, inside, listFolder, type Name, openFolder, problemOf, statEntry } from './folder.ts';
import type { CacheItem, Inode, Partial } from './plan.ts';

export interface ScanParts {
  root: Folder;
  now: number;
  /** Throws when the time is over. */
  goOn(): void;
  onFailure(path: string, problem: string): void;
}

/** Deeper than any model; each level holds a file descriptor. */
const deepest = 128;
const blockBytes = 512;
/** A time further ahead than a clock may be wrong was copied from elsewhere, and says nothing. */
const clockErrorMs = 86_400_000;
const repository = /^(?:models|datasets|spaces)--(.+)$/;
/** In a Hugging Face cache and beside it; everything else of a chute is one item for each entry of its folder. */
const listed = new Set(['hub', 'civitai']);

interface Measured {
  bytes: number;
  shared: Map<Inode, number>;
  partials: Partial[];
  changedAt: number;
}

export interface Scanner {
  /** Every item, in no order. Rejects with what `goOn` throws, or when the root cannot be listed. */
  items(): Promise<CacheItem[]>;
  /** When something in `name` was last written. */
  changedAt(folder: Folder, name: string): number;
}

export function createScanner({ root, now, goOn, onFailure }: ScanParts): Scanner {
  const inodes = new Map<number, Inode>();
  const device = statEntry(root, '.')?.dev;

  function count(stats: Stats, below: readonly string[], into: Measured): void {
    const bytes = stats.blocks * blockBytes;
    if (stats.mtimeMs <= now + clockErrorMs) into.changedAt = Math.max(into.changedAt, stats.mtimeMs);
    if (stats.isFile() && stats.nlink > 1) {
      const inode = inodes.get(stats.ino) ?? { bytes, links: stats.nlink };
      inodes.set(stats.ino, inode);
      into.shared.set(inode, (into.shared.get(inode) ?? 0) + 1);
    } else if (stats.isFile() && below.at(-1)?.endsWith('.incomplete')) into.partials.push({ path: below, bytes });
    else into.bytes += bytes;
  }

  function measureInto(into: Measured, folder: Folder, name: Name, path: readonly string[], below: string[]): void {
    goOn();
    const shown = [...path, ...below].join('/');
    const stats = statEntry(folder, name);
    if (!stats) return;
    if (stats.dev !== device) {
      onFailure(shown, 'is on another file system and was left alone');
      return;
    }
    count(stats, below, into);
    if (!stats.isDirectory()) return;
    if (below.length >= deepest) {
      onFailure(shown, `is nested deeper than ${deepest} folders and not counted`);
      return;
    }
    const sub = tryTo(shown, () => openFolder(folder.at(name)));
    if (!sub) return;
    try {
      const names = tryTo(shown, () => listFolder(sub)) ?? [];
      for (const entry of names) measureInto(into, sub, entry, path, [...below, `${entry}`]);
    } finally {
      sub.close();
    }
  }

  /** What is gone meanwhile is no failure. */
  function tryTo<T>(shown: string, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOTDIR' || code === 'ELOOP')
        onFailure(shown, 'is a link or a file, no folder, and was left alone');
      else if (code !== 'ENOENT') onFailure(shown, problemOf('read', error));
      return undefined;
    }
  }

  function measure(folder: Folder, name: string, path: readonly string[]): Measured {
    const into: Measured = { bytes: 0, shared: new Map(), partials: [], changedAt: 0 };
    measureInto(into, folder, name, path, []);
    return into;
  }

  /** A name that is no text cannot be told from others. */
  function namesIn(path: readonly string[]): string[] {
    const names = tryTo(path.join('/'), () => inside(root, path, listFolder)) ?? [];
    return names.flatMap((bytes) => {
      if (Buffer.from(`${bytes}`).equals(bytes)) return [`${bytes}`];
      onFailure([...path, `${bytes}`].join('/'), 'has a name that is no UTF-8 and was left alone');
      return [];
    });
  }

  function placesIn(
    path: readonly string[],
    chuteId: string | undefined,
  ): Pick<CacheItem, 'path' | 'chuteId' | 'name'>[] {
    const kind = path.at(-1);
    return namesIn(path).flatMap((name) => {
      const place = { path: [...path, name], chuteId, name: kind === 'civitai' ? `civitai/${name}` : name };
      if (kind !== 'hub') return [place];
      const [, model] = repository.exec(name) ?? [];
      return model === undefined ? [] : [{ ...place, name: model.replaceAll('--', '/') }];
    });
  }

  function places(): Pick<CacheItem, 'path' | 'chuteId' | 'name'>[] {
    const names = listFolder(root).map((name) => `${name}`);
    const ofChutes = names
      .filter(isUuid)
      .flatMap((chuteId) =>
        placesIn([chuteId], chuteId).flatMap((place) =>
          listed.has(place.name) ? placesIn(place.path, chuteId) : [place],
        ),
      );
    return [...ofChutes, ...names.filter((name) => listed.has(name)).flatMap((name) => placesIn([name], undefined))];
  }

  return {
    async items() {
      const items: CacheItem[] = [];
      for (const place of places()) {
        const { path } = place;
        const measured = tryTo(path.join('/'), () =>
          inside(root, path.slice(0, -1), (folder) => measure(folder, path.at(-1) ?? '', path)),
        );
        if (measured) items.push({ ...place, ...measured });
        await letSignalsIn();
      }
      return items;
    },
    changedAt: (folder, name) => measure(folder, name, [name]).changedAt,
  };
}
