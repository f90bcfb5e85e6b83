// Trees of git as maps from name to entry.

import { MinerError } from '../domain/errors.ts';

export interface TreeEntry {
  /** `100644`, `100755`, `120000`, `40000` or `160000`. */
  mode: string;
  oid: string;
}

export type TreeEntries = ReadonlyMap<string, TreeEntry>;

export const folderMode = '40000';
export const fileMode = '100644';

/** Object id of a folder's tree; undefined for everything else. */
export function folderOid(entry: TreeEntry | undefined): string | undefined {
  return entry?.mode === folderMode ? entry.oid : undefined;
}

/** Object id of a regular file's blob; undefined for everything else, symbolic links included. */
export function fileOid(entry: TreeEntry | undefined): string | undefined {
  return entry?.mode === fileMode || entry?.mode === '100755' ? entry.oid : undefined;
}

export function decodeTree(content: Buffer): TreeEntries {
  const entries = new Map<string, TreeEntry>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const end = content.indexOf(0, space);
    if (space < 0 || end < 0 || end + 21 > content.length)
      throw new MinerError('E-GIT-REPOSITORY', 'a tree object is cut off');
    const name = content.toString('utf8', space + 1, end);
    entries.set(name, { mode: content.toString('latin1', at, space), oid: content.toString('hex', end + 1, end + 21) });
    at = end + 21;
  }
  return entries;
}

/** Git compares names as bytes, a folder's as if it ended in a slash. */
export function encodeTree(entries: TreeEntries): Buffer {
  const sorted = [...entries].map(([name, entry]) => ({
    key: Buffer.from(entry.mode === folderMode ? `${name}/` : name),
    bytes: [Buffer.from(`${entry.mode} ${name}\0`), Buffer.from(entry.oid, 'hex')],
  }));
  sorted.sort((a, b) => Buffer.compare(a.key, b.key));
  return Buffer.concat(sorted.flatMap(({ bytes }) => bytes));
}
