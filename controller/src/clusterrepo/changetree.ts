// The incremental change of a tree: only what lies on a changed path is read and made anew.

import { MinerError } from '../domain/errors.ts';
import { makeObject, type NewObject, type ObjectStore } from './objects.ts';
import { encodeTree, fileMode, fileOid, folderMode, folderOid } from './trees.ts';

/** A file to write (`oid` of its blob) or, with undefined, to remove; by path with slashes. */
export type Changes = ReadonlyMap<string, string | undefined>;

function byFolder(changes: Changes): {
  here: Map<string, string | undefined>;
  below: Map<string, Map<string, string | undefined>>;
} {
  const here = new Map<string, string | undefined>();
  const below = new Map<string, Map<string, string | undefined>>();
  for (const [path, oid] of changes) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      here.set(path, oid);
      continue;
    }
    const name = path.slice(0, slash);
    const inner = below.get(name) ?? new Map<string, string | undefined>();
    below.set(name, inner.set(path.slice(slash + 1), oid));
  }
  return { here, below };
}

/**
 * Apply changes to the tree `root` (undefined for an empty one). Returns the new root, undefined when nothing is left in it; new
 * trees are appended to `made`, inner ones first. A file keeps its mode. Rejects with E-GIT-REPOSITORY where a file stands in the way
 * of a folder or the other way round.
 */
export async function changeTree(
  objects: ObjectStore,
  root: string | undefined,
  changes: Changes,
  made: NewObject[],
): Promise<string | undefined> {
  const entries = new Map(root === undefined ? [] : await objects.readTree(root));
  const { here, below } = byFolder(changes);
  for (const [name, oid] of here) {
    const old = entries.get(name);
    if (folderOid(old)) throw new MinerError('E-GIT-REPOSITORY', `${name} is a folder where a file belongs`);
    if (oid === undefined) entries.delete(name);
    else entries.set(name, { mode: old && fileOid(old) ? old.mode : fileMode, oid });
  }
  for (const [name, inner] of below) {
    const old = entries.get(name);
    if (old && !folderOid(old)) throw new MinerError('E-GIT-REPOSITORY', `${name} is a file where a folder belongs`);
    const oid = await changeTree(objects, old?.oid, inner, made);
    if (oid === undefined) entries.delete(name);
    else entries.set(name, { mode: folderMode, oid });
  }
  if (entries.size === 0) return undefined;
  const tree = makeObject('tree', encodeTree(entries));
  if (tree.oid !== root) made.push(tree);
  return tree.oid;
}
