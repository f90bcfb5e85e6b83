// Many git objects as one pack with its index (version 2 of both), so that a large batch costs one flush to disk instead of thousands.
// No deltas; `git gc` makes them later.

import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import type { NewObject } from './objects.ts';

/** `git repack` finds deltas later; until then speed counts. */
const fastest = 1;

const typeNumbers = { commit: 1, tree: 2, blob: 3 } as const;

function sha1(...parts: Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Type and length: 4 bits of the length in the first byte, 7 in each that follows. */
function entryHeader(type: NewObject['type'], length: number): Buffer {
  const bytes: number[] = [];
  let byte = (typeNumbers[type] << 4) | (length & 15);
  for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte | 0x80);
    byte = rest & 0x7f;
  }
  return Buffer.from([...bytes, byte]);
}

function uint32s(values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) buffer.writeUInt32BE(value, i * 4);
  return buffer;
}

interface Placed {
  oid: string;
  crc: number;
  offset: number;
}

function indexOf(placed: readonly Placed[], packHash: Buffer): Buffer {
  const sorted = [...placed].sort((a, b) => (a.oid < b.oid ? -1 : 1));
  /** For each first byte, how many names begin with it or a lower one. */
  const fanout: number[] = [];
  for (const [before, { oid }] of sorted.entries()) {
    while (fanout.length < Number.parseInt(oid.slice(0, 2), 16)) fanout.push(before);
  }
  while (fanout.length < 256) fanout.push(sorted.length);
  const body = Buffer.concat([
    Buffer.from([0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2]),
    uint32s(fanout),
    Buffer.from(sorted.map(({ oid }) => oid).join(''), 'hex'),
    uint32s(sorted.map(({ crc }) => crc)),
    uint32s(sorted.map(({ offset }) => offset)),
    packHash,
  ]);
  return Buffer.concat([body, sha1(body)]);
}

/** Each object once, in the order of their first mention. */
export function distinctOf(objects: readonly NewObject[]): NewObject[] {
  return [...new Map(objects.map((object) => [object.oid, object])).values()];
}

export interface EncodedPack {
  /** What git calls the files: `pack-<name>.pack` and `.idx`. */
  name: string;
  pack: Buffer;
  index: Buffer;
}

/** The objects must stay below 2 GiB together. */
export function encodePack(all: readonly NewObject[]): EncodedPack {
  const objects = distinctOf(all);
  const header = Buffer.concat([Buffer.from('PACK'), uint32s([2, objects.length])]);
  const chunks = [header];
  const placed: Placed[] = [];
  let offset = header.length;
  for (const { oid, type, content } of objects) {
    const entry = Buffer.concat([entryHeader(type, content.length), deflateSync(content, { level: fastest })]);
    placed.push({ oid, crc: crc32(entry), offset });
    chunks.push(entry);
    offset += entry.length;
  }
  const packHash = sha1(...chunks);
  return {
    name: packHash.toString('hex'),
    pack: Buffer.concat([...chunks, packHash]),
    index: indexOf(placed, packHash),
  };
}
