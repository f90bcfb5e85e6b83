// Objects out of packs, as git leaves them after a push or `git gc`. Written by hand because a start reads thousands of them: for 5,060
// files stored as deltas isomorphic-git took about 15 s, this takes 0.65 s. Nothing is kept open, so git may replace packs at any time.

import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { MinerError } from '../domain/errors.ts';
import { applyDelta, readVarint } from './delta.ts';
import { isErrno } from './files.ts';
import type { ObjectType } from './objects.ts';

export interface PackedObject {
  type: ObjectType;
  content: Buffer;
}

export interface PackReader {
  /** Whether one of the packs seen so far has it; costs no look at the disk. */
  knows(oid: string): boolean;
  /** Undefined when no pack has it. Throws E-GIT-REPOSITORY on a pack that cannot be read. */
  read(oid: string): PackedObject | undefined;
}

const types: Record<number, ObjectType> = { 1: 'commit', 2: 'tree', 3: 'blob' };
const ofsDelta = 6;
const refDelta = 7;
/** Bytes of bases kept, because deltas of neighbours share them. */
const basesKept = 16 * 1024 * 1024;

interface Pack {
  path: string;
  offsetOf(oid: string): number | undefined;
  /** Where the entry at an offset ends. */
  endOf(offset: number): number;
}

const fanoutAt = 8;
const namesAt = fanoutAt + 256 * 4;

function openPack(indexPath: string): Pack {
  const path = indexPath.replace(/idx$/, 'pack');
  const index = readFileSync(indexPath);
  if (index.length < namesAt + 40 || index.readUInt32BE(0) !== 0xff744f63 || index.readUInt32BE(4) !== 2) {
    throw new MinerError('E-GIT-REPOSITORY', `${indexPath} is no pack index of version 2`);
  }
  const count = index.readUInt32BE(namesAt - 4);
  const offsetsAt = namesAt + count * 24;
  const largeAt = offsetsAt + count * 4;

  function offsetAt(i: number): number {
    const offset = index.readUInt32BE(offsetsAt + i * 4);
    return offset < 0x80000000 ? offset : Number(index.readBigUInt64BE(largeAt + (offset - 0x80000000) * 8));
  }

  // The last entry ends where the checksum of the pack begins.
  const starts = Float64Array.from({ length: count + 1 }, (_, i) =>
    i < count ? offsetAt(i) : statSync(path).size - 20,
  );
  starts.sort();

  return {
    path,
    offsetOf(oid) {
      const wanted = Buffer.from(oid, 'hex');
      const first = wanted.readUInt8(0);
      let low = first === 0 ? 0 : index.readUInt32BE(fanoutAt + (first - 1) * 4);
      let high = index.readUInt32BE(fanoutAt + first * 4);
      while (low < high) {
        const middle = (low + high) >> 1;
        const order = index.compare(wanted, 0, 20, namesAt + middle * 20, namesAt + middle * 20 + 20);
        if (order === 0) return offsetAt(middle);
        if (order < 0) low = middle + 1;
        else high = middle;
      }
      return undefined;
    },
    endOf(offset) {
      let low = 0;
      let high = starts.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (Number(starts[middle]) <= offset) low = middle + 1;
        else high = middle;
      }
      return starts[low] ?? 0;
    },
  };
}

function readEntry(pack: Pack, file: number, offset: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.max(0, pack.endOf(offset) - offset));
  if (bytes.length === 0 || readSync(file, bytes, 0, bytes.length, offset) !== bytes.length) {
    throw new MinerError('E-GIT-REPOSITORY', `${pack.path} is cut off`);
  }
  return bytes;
}

/** Where the base of an offset delta is, counted back from the delta. */
function readBack(bytes: Buffer, from: number): { back: number; next: number } {
  let back = bytes.readUInt8(from) & 0x7f;
  let at = from;
  while (bytes.readUInt8(at) & 0x80) {
    at++;
    back = (back + 1) * 128 + (bytes.readUInt8(at) & 0x7f);
  }
  return { back, next: at + 1 };
}

export function openPacks(gitdir: string): PackReader {
  const folder = join(gitdir, 'objects', 'pack');
  let packs = new Map<string, Pack>();
  const bases = new Map<string, PackedObject>();
  let basesSize = 0;

  function keep(key: string, { type, content }: PackedObject): PackedObject {
    // What was read lies in a larger piece of memory, shared with others, that it would keep whole.
    const own = Buffer.allocUnsafeSlow(content.length);
    content.copy(own);
    const base = { type, content: own };
    bases.set(key, base);
    basesSize += base.content.length;
    for (const [oldest, { content: old }] of bases) {
      if (basesSize <= basesKept) break;
      bases.delete(oldest);
      basesSize -= old.length;
    }
    return base;
  }

  function readAt(pack: Pack, file: number, offset: number): PackedObject {
    const key = `${pack.path}:${offset}`;
    const known = bases.get(key);
    if (known) return known;
    const bytes = readEntry(pack, file, offset);
    const kind = (bytes.readUInt8(0) >> 4) & 7;
    const { next } = readVarint(bytes, 0);
    const type = types[kind];
    if (type) return keep(key, { type, content: inflateSync(bytes.subarray(next)) });
    if (kind !== ofsDelta && kind !== refDelta)
      throw new MinerError('E-GIT-REPOSITORY', `${pack.path} has an entry of kind ${kind}`);
    const { base, body } = baseOf(pack, file, offset, bytes, next, kind);
    return keep(key, { type: base.type, content: applyDelta(base.content, inflateSync(body)) });
  }

  function baseOf(pack: Pack, file: number, offset: number, bytes: Buffer, from: number, kind: number) {
    if (kind === ofsDelta) {
      const { back, next } = readBack(bytes, from);
      if (back <= 0 || back > offset) throw new MinerError('E-GIT-REPOSITORY', `${pack.path} has a delta without base`);
      return { base: readAt(pack, file, offset - back), body: bytes.subarray(next) };
    }
    const at = pack.offsetOf(bytes.toString('hex', from, from + 20));
    if (at === undefined) throw new MinerError('E-GIT-REPOSITORY', `${pack.path} has a delta without base`);
    return { base: readAt(pack, file, at), body: bytes.subarray(from + 20) };
  }

  function find(oid: string): PackedObject | undefined {
    for (const pack of packs.values()) {
      const offset = pack.offsetOf(oid);
      if (offset === undefined) continue;
      const file = openSync(pack.path, 'r');
      try {
        return readAt(pack, file, offset);
      } finally {
        closeSync(file);
      }
    }
    return undefined;
  }

  /** False when the packs are the ones known already. */
  function list(): boolean {
    let names: string[] = [];
    try {
      names = readdirSync(folder).filter((name) => name.endsWith('.idx'));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (names.length === packs.size && names.every((name) => packs.has(name))) return false;
    packs = new Map(names.map((name) => [name, packs.get(name) ?? openPack(join(folder, name))]));
    return true;
  }

  return {
    knows: (oid) => [...packs.values()].some((pack) => pack.offsetOf(oid) !== undefined),
    read(oid) {
      for (let attempt = 0; ; attempt++) {
        try {
          const found = find(oid);
          if (found || !list()) return found;
        } catch (error) {
          // Git replaced a pack between listing and opening it.
          if (!isErrno(error, 'ENOENT') || attempt > 3) throw error;
          packs.clear();
        }
      }
    },
  };
}
