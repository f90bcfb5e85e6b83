// The building blocks of the open proof protocols (graval.md 6.3, 6.4): hashes over labelled parts, Philox, the two mixers.

import { createHash } from 'node:crypto';
import type { DeviceInfo } from '../backend.ts';

/** The two words that all of a session's pseudo-random bytes come from. */
export type Key = readonly [number, number];

export function sha256(...parts: (Uint8Array | string)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, 4 * i);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

export function hexBytes(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** Digest of the advertised record: any lie about the GPU changes every later value. */
export function deviceDigest(device: DeviceInfo): Buffer {
  const name = Buffer.from(device.name, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16LE(name.length);
  return sha256(
    'ogv1/dev\0',
    length,
    name,
    hexBytes(device.uuid),
    u64(BigInt(device.memory)),
    u32(device.processors),
    u64(BigInt(Math.round(device.clock_rate))),
    u32(device.max_threads_per_processor),
  );
}

function mulHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** Philox4x32-10: four words of a counter of four words under a key of two. */
export function philox(counter: readonly [number, number, number, number], key: Key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, c0);
    const high1 = mulHigh(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3] as const;
}

/** `size` bytes of PRF(domain, stream) from `offset`, both multiples of 16. */
export function prf(domain: number, stream: number, key: Key, offset: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 16) {
    const block = (offset + at) / 16;
    const words = philox([block >>> 0, Math.floor(block / 2 ** 32), stream, domain], key);
    for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, at + i * 4);
  }
  return bytes;
}

/** One byte out of a 32-bit sum, so that the next product starts from all of its bits. */
export function mixb(sum: number): number {
  let h = Math.imul(sum, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h, 0x85ebca6b);
  return h >>> 24;
}

const mask = 2n ** 64n - 1n;

/** Finaliser of splitmix64. */
export function mix64(value: bigint): bigint {
  let z = value & mask;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
  return z ^ (z >> 31n);
}

function rotl(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & mask;
}

/** Where a walker in this state reads: `n` bytes per row, `m` rows per tile, N tiles. */
export function placeOf(state: bigint, sizes: { n: number; m: number; N: number }) {
  const z = mix64(state + 0x9e3779b97f4a7c15n);
  const row = Number((z * BigInt(sizes.N) * BigInt(sizes.m)) >> 64n);
  return { t: Math.floor(row / sizes.m), i: row % sizes.m, offset: 32 * Number(z % BigInt(sizes.n / 32)) };
}

/** State of a walker after it read 32 bytes at `offset` of a row. */
export function advance(state: bigint, row: Buffer, offset: number): bigint {
  const v = (index: number) => row.readBigUInt64LE(offset + 8 * index);
  return mix64(state ^ v(0) ^ rotl(v(1), 17n) ^ rotl(v(2), 31n) ^ rotl(v(3), 47n));
}

/** Root that a leaf and its siblings, from the bottom up, lead to. */
export function rootOf(leaf: Uint8Array, index: number, path: Uint8Array): Buffer {
  let hash: Buffer = Buffer.from(leaf);
  let at = index;
  for (let from = 0; from < path.length; from += 32, at = Math.floor(at / 2)) {
    const sibling = path.subarray(from, from + 32);
    hash = at % 2 === 0 ? sha256('\x01', hash, sibling) : sha256('\x01', sibling, hash);
  }
  return hash;
}
