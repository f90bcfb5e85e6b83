// The object store of a bare repository: objects are complete and on disk before `write` returns, children before what names them.
// Few new objects become files of their own, many become one pack.

import { createHash } from 'node:crypto';
import { readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import { MinerError, messageOf } from '../domain/errors.ts';
import { isErrno, writeWhole } from './files.ts';
import { distinctOf, type EncodedPack, encodePack } from './pack.ts';
import { openPacks, type PackedObject } from './packread.ts';
import { decodeTree, type TreeEntries } from './trees.ts';

export type ObjectType = 'blob' | 'tree' | 'commit';

export interface NewObject {
  oid: string;
  type: ObjectType;
  content: Buffer;
}

export interface ObjectStore {
  /** Content of an object; rejects with E-GIT-REPOSITORY when it is missing, damaged or of another type. */
  read(oid: string, type: ObjectType): Promise<Buffer>;
  readTree(oid: string): Promise<TreeEntries>;
  /** In the order given: an object that names others comes after them. `encoded` makes a pack of them. */
  write(objects: readonly NewObject[], encoded?: () => EncodedPack): Promise<void>;
}

/** From this many objects on a pack is cheaper than single files. */
const packFrom = 48;
const cachedTrees = 4096;
/** `git repack` finds deltas later; until then speed counts. */
const fastest = 1;

function wrap(type: ObjectType, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
}

function hashOf(wrapped: Buffer): string {
  return createHash('sha1').update(wrapped).digest('hex');
}

/** An object with its name, not yet written. */
export function makeObject(type: ObjectType, content: Buffer): NewObject {
  return { oid: hashOf(wrap(type, content)), type, content };
}

/** Git knows the tree without files even where nobody has written it. */
const emptyTree = makeObject('tree', Buffer.alloc(0)).oid;

function damaged(oid: string, why: string, cause?: unknown): MinerError {
  return new MinerError('E-GIT-REPOSITORY', `git object ${oid} ${why}`, { detail: { oid }, cause });
}

function unwrap(oid: string, type: ObjectType, deflated: Buffer): Buffer {
  let wrapped: Buffer;
  try {
    wrapped = inflateSync(deflated);
  } catch (error) {
    throw damaged(oid, 'cannot be unpacked', error);
  }
  if (hashOf(wrapped) !== oid) throw damaged(oid, 'does not have the content its name stands for');
  const end = wrapped.indexOf(0);
  const found = wrapped.subarray(0, wrapped.indexOf(0x20)).toString();
  if (found !== type) throw damaged(oid, `is a ${found}, not a ${type}`);
  return wrapped.subarray(end + 1);
}

export function openObjects(gitdir: string): ObjectStore {
  const packs = openPacks(gitdir);
  const trees = new Map<string, TreeEntries>();
  const pathOf = (oid: string) => join(gitdir, 'objects', oid.slice(0, 2), oid.slice(2));

  function readPacked(oid: string, type: ObjectType): Buffer {
    let found: PackedObject | undefined;
    try {
      found = packs.read(oid);
    } catch (error) {
      throw damaged(oid, `cannot be read: ${messageOf(error)}`, error);
    }
    if (!found) throw damaged(oid, 'is missing');
    if (found.type !== type) throw damaged(oid, `is a ${found.type}, not a ${type}`);
    if (hashOf(wrap(type, found.content)) !== oid) throw damaged(oid, 'does not have the content its name stands for');
    return found.content;
  }

  async function read(oid: string, type: ObjectType): Promise<Buffer> {
    // Most objects are in a pack after `git gc`; a miss on the disk costs more than a look into the indexes.
    if (packs.knows(oid)) return readPacked(oid, type);
    let deflated: Buffer;
    try {
      deflated = await readFile(pathOf(oid));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw damaged(oid, `cannot be read: ${messageOf(error)}`, error);
      return readPacked(oid, type);
    }
    return unwrap(oid, type, deflated);
  }

  function remember(oid: string, entries: TreeEntries): TreeEntries {
    const oldest = trees.size >= cachedTrees ? trees.keys().next().value : undefined;
    if (oldest !== undefined) trees.delete(oldest);
    trees.set(oid, entries);
    return entries;
  }

  async function writeLoose({ oid, type, content }: NewObject): Promise<void> {
    const path = pathOf(oid);
    try {
      // A known object counts as new again, or a running `git gc` could clear it away as old and unused.
      const now = new Date();
      await utimes(path, now, now);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await writeWhole(path, deflateSync(wrap(type, content), { level: fastest }), { prefix: 'tmp_obj_', mode: 0o444 });
    }
  }

  async function writePack({ name, pack, index }: EncodedPack): Promise<void> {
    const base = join(gitdir, 'objects', 'pack', `pack-${name}`);
    await writeWhole(`${base}.pack`, pack, { prefix: 'tmp_pack_', mode: 0o444 });
    await writeWhole(`${base}.idx`, index, { prefix: 'tmp_idx_', mode: 0o444 });
  }

  return {
    read,
    async readTree(oid) {
      if (oid === emptyTree) return new Map();
      return trees.get(oid) ?? remember(oid, decodeTree(await read(oid, 'tree')));
    },
    async write(objects, encoded = () => encodePack(objects)) {
      const distinct = distinctOf(objects);
      if (distinct.length >= packFrom) await writePack(encoded());
      else for (const object of distinct) await writeLoose(object);
      for (const { oid, type, content } of distinct) if (type === 'tree') remember(oid, decodeTree(content));
    },
  };
}
