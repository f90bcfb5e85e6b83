// A folder held open: its entries are reached through it (openat, by way of /proc/self/fd), so that a link or another folder put into
// the path meanwhile leads nowhere. Links are never followed. Linux only.

import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { MinerError, messageOf } from '../domain/errors.ts';

export interface Folder {
  /** Of the entry, good while the folder is open. Names are bytes on disk; only entries that were listed keep bytes that are no UTF-8. */
  at(name: Name): Buffer;
  close(): void;
}

export type Name = string | Buffer;

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Throws when it is no folder, or a link to one. */
export function openFolder(path: Name): Folder {
  const fd = openSync(path, folderFlags);
  const prefix = Buffer.from(`/proc/self/fd/${fd}/`);
  return {
    at(name) {
      const bytes = Buffer.from(name);
      if (bytes.length === 0 || bytes.includes(0x2f) || bytes.equals(Buffer.from('..')))
        throw new MinerError('E-CACHE', `"${bytes}" is no entry of a folder`);
      return Buffer.concat([prefix, bytes]);
    },
    close: () => closeSync(fd),
  };
}

export function listFolder(folder: Folder): Buffer[] {
  return readdirSync(folder.at('.'), { encoding: 'buffer' });
}

/** `use` gets the folder at `path` below `root`; each step is opened by itself. */
export function inside<T>(root: Folder, path: readonly Name[], use: (folder: Folder) => T): T {
  const [first, ...rest] = path;
  if (first === undefined) return use(root);
  const folder = openFolder(root.at(first));
  try {
    return inside(folder, rest, use);
  } finally {
    folder.close();
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

export function problemOf(what: string, error: unknown): string {
  return `cannot be ${what}: ${codeOf(error) ?? messageOf(error)}`;
}

/** Undefined when it is gone, which files of a running download are at any time. */
export function statEntry(folder: Folder, name: Name): Stats | undefined {
  return lstatSync(folder.at(name), { throwIfNoEntry: false });
}

function ignoreGone(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/**
 * Empties the folder: files of a subfolder first, its own folders are lifted to the top until none holds anything, so depth costs no open
 * files. Stops when `ended()`. Reports what resists and goes on with the rest.
 */
export function emptyFolder(folder: Folder, ended: () => boolean, onFailure: (problem: string) => void): void {
  let lifted = 0;
  const resisting = new Set<string>();
  function attempt(key: string, step: () => void): void {
    try {
      ignoreGone(step);
    } catch (error) {
      // A folder that still holds something is explained by what it holds.
      if (!resisting.has(key) && codeOf(error) !== 'ENOTEMPTY') onFailure(problemOf('removed', error));
      resisting.add(key);
    }
  }
  function emptyOne(name: Buffer): void {
    const sub = openFolder(folder.at(name));
    try {
      for (const entry of listFolder(sub)) {
        if (ended()) return;
        const isFolder = statEntry(sub, entry)?.isDirectory();
        attempt(`${name.toString('hex')}/${entry.toString('hex')}`, () =>
          isFolder
            ? renameSync(sub.at(entry), folder.at(`${process.pid}-${process.hrtime.bigint()}-${lifted++}`))
            : unlinkSync(sub.at(entry)),
        );
      }
    } finally {
      sub.close();
    }
    if (!ended()) rmdirSync(folder.at(name));
  }
  for (;;) {
    const entries = listFolder(folder).filter((name) => !resisting.has(name.toString('hex')));
    if (entries.length === 0) return;
    for (const name of entries) {
      if (ended()) return;
      const isFolder = statEntry(folder, name)?.isDirectory();
      attempt(name.toString('hex'), () => (isFolder ? emptyOne(name) : unlinkSync(folder.at(name))));
    }
  }
}
