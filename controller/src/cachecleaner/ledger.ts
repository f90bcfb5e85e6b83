// The cleaner's own folder in the root of the cache, which no chute can see: one file for each chute, whose time is when it last started
// or was last seen; one file for the last look at the node; and what was taken out of the cache and is not removed yet.

import { closeSync, constants, fchownSync, futimesSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { MinerError, messageOf } from '../domain/errors.ts';
import { isUuid } from '../domain/ids.ts';
import { codeOf, type Folder, listFolder, openFolder, statEntry } from './folder.ts';

export interface Ledger {
  root: Folder;
  /** Ms since the Unix epoch. */
  lastUsed(): Map<string, number>;
  lastUsedOf(chuteId: string): number | undefined;
  seenAt(): number | undefined;
  noteStart(chuteId: string, at: number): void;
  /** `inUse` were on the node at `at`; every other chute was not. */
  noteSeen(inUse: ReadonlySet<string>, at: number): void;
  /** Where removed things go first; undefined in a dry run, which writes nothing. */
  trash: Folder | undefined;
  close(): void;
}

const own = '.cache-cleaner';
const seenFile = 'seen';

/** Throws E-USAGE for what does not look like a cache of models, unless `adopt`; E-CACHE when it cannot be used. */
export function openLedger(path: string, { dryRun = false, adopt = false } = {}): Ledger {
  const root = openRoot(path, adopt);
  const opened: Folder[] = [root];
  /** What a dry run would have written. */
  const unwritten = new Map<string, number>();

  function ownFolder(parent: Folder | undefined, name: string): Folder | undefined {
    if (!parent || (dryRun && !statEntry(parent, name))) return undefined;
    ensureFolder(parent, name, 0o700);
    const folder = openFolder(parent.at(name));
    opened.push(folder);
    return folder;
  }

  function close(): void {
    for (const folder of opened) folder.close();
  }

  function notes(parent: Folder | undefined) {
    return {
      read(name: string): number | undefined {
        const ms = unwritten.get(name) ?? (parent && statEntry(parent, name)?.mtimeMs);
        return ms === undefined ? undefined : Math.round(ms);
      },
      write(name: string, at: number): void {
        if (dryRun || !parent) unwritten.set(name, at);
        else touch(parent, name, at);
      },
    };
  }

  try {
    const home = ownFolder(root, own);
    const started = ownFolder(home, 'started');
    const ofNode = notes(home);
    const ofChutes = notes(started);
    return {
      root,
      trash: dryRun ? undefined : ownFolder(home, 'trash'),
      lastUsed() {
        const names = [...(started ? listFolder(started).map(String) : []), ...unwritten.keys()].filter(isUuid);
        return new Map(names.map((chuteId) => [chuteId, ofChutes.read(chuteId) ?? 0]));
      },
      lastUsedOf: ofChutes.read,
      seenAt: () => ofNode.read(seenFile),
      noteStart: ofChutes.write,
      noteSeen(inUse, at) {
        // In this order: a chute that is noted before the last look counts as ended.
        for (const chuteId of inUse) ofChutes.write(chuteId, at);
        ofNode.write(seenFile, at);
      },
      close,
    };
  } catch (error) {
    close();
    throw new MinerError('E-CACHE', `${path}: cannot be used: ${messageOf(error)}`, { cause: error });
  }
}

/** Makes the chute's folder, of the user who runs in it; what is in it already is left as it is. Throws E-USAGE or E-CACHE. */
export function prepareChute(path: string, chuteId: string, uid: number, { adopt = false } = {}): void {
  const root = openRoot(path, adopt);
  try {
    ensureFolder(root, chuteId, 0o755);
    const fd = openSync(root.at(chuteId), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      fchownSync(fd, uid, uid);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new MinerError('E-CACHE', `the folder of chute ${chuteId} cannot be made: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    root.close();
  }
}

function openRoot(path: string, adopt: boolean): Folder {
  let root: Folder | undefined;
  let names: string[];
  try {
    const real = realpathSync(path);
    if (real === '/') throw new MinerError('E-USAGE', `--root: found ${path}, which is the root of the file system`);
    root = openFolder(real);
    names = listFolder(root).map(String);
  } catch (error) {
    root?.close();
    if (error instanceof MinerError) throw error;
    throw new MinerError('E-CACHE', `${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const known = names.length === 0 || names.includes(own) || names.some(isUuid);
  if (known || adopt) return root;
  root.close();
  const found = `found ${path}, which holds no folder of a chute`;
  throw new MinerError('E-USAGE', `--root: ${found}, allowed: a cache of chutes; --adopt takes any folder`);
}

function ensureFolder(parent: Folder, name: string, mode: number): void {
  try {
    mkdirSync(parent.at(name), { mode });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function touch(folder: Folder, name: string, at: number): void {
  const fd = openSync(folder.at(name), constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    futimesSync(fd, at / 1000, at / 1000);
  } finally {
    closeSync(fd);
  }
}
