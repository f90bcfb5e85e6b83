// What both sides of ogv1 derive from public values (graval.md 6.4): context, walk key, commit, audit queries, transcript.

import type { DeviceInfo, OgvChallenge, OgvParams, OgvQueries } from '../backend.ts';
import { deviceDigest, hexBytes, type Key, philox, sha256, u32, u64 } from './primitives.ts';

/** Sizes in the order of the protocol: n, m, N, R, W, K, G. */
export function sizesOf(params: OgvParams): Uint32Array {
  const { n, m, N, R, W, K, G } = params;
  return Uint32Array.of(n, m, N, R, W, K, G);
}

/** Sizes that fill `share` of a GPU's memory (bytes): 32 MiB tiles, 8 MiB below 24 GB. */
export function paramsFor(memory: number, share = 0.95): OgvParams {
  const n = 2048;
  const m = memory > 24.5e9 ? 16384 : 4096;
  return { n, m, N: Math.floor((share * memory) / (m * n)), R: 16, W: 262_144, K: 16, G: 512 };
}

function keyFrom(hash: Buffer): Key {
  return [hash.readUInt32LE(0), hash.readUInt32LE(4)];
}

/** σ and the key of all matrices. `pkM`: the prover's X25519 key, 32 bytes. */
export function contextOf(challenge: OgvChallenge, device: DeviceInfo, pkM: Uint8Array): { sigma: Buffer; key: Key } {
  const { seed, nonce, params } = challenge;
  const sizes = u32(...sizesOf(params));
  const sigma = sha256('ogv1/ctx\0', u64(seed), hexBytes(nonce), deviceDigest(device), pkM, 'ogv1/par\0', sizes);
  return { sigma, key: keyFrom(sha256('ogv1/key\0', sigma)) };
}

export function walkKeyOf(sigma: Uint8Array, rootFill: Uint8Array): { a: bigint; b: bigint } {
  const hash = sha256('ogv1/walk\0', sigma, rootFill);
  return { a: hash.readBigUInt64LE(0), b: hash.readBigUInt64LE(8) };
}

export function commitOf(sigma: Uint8Array, rootFill: Uint8Array, rootWalk: Uint8Array): Buffer {
  return sha256('ogv1/com\0', sigma, rootFill, rootWalk);
}

export function transcriptOf(sigma: Uint8Array, commit: Uint8Array, auditSeed: string): Buffer {
  return sha256('ogv1/trn\0', sigma, commit, hexBytes(auditSeed));
}

/** What an audit asks for. */
export interface AuditPlan {
  rows: { t: number; i: number }[];
  walks: { w: number; seg: number }[];
  tiles: { t: number; rows: number[] }[];
}

/** The same commit and audit seed give the same questions to both sides. */
export function planOf(queries: OgvQueries, commit: Uint8Array, params: OgvParams): AuditPlan {
  const key = keyFrom(sha256('ogv1/aud\0', commit, hexBytes(queries.auditSeed)));
  const draw = (index: number, second: number, kind: number) => philox([index, second, 0, kind], key);
  const each = <T>(count: number, make: (index: number) => T) =>
    Array.from({ length: count }, (_, index) => make(index));
  return {
    rows: each(queries.rows, (index) => {
      const [w0, w1] = draw(index, 0, 3);
      return { t: w0 % params.N, i: w1 % params.m };
    }),
    walks: each(queries.walks, (index) => {
      const [w0, w1] = draw(index, 0, 4);
      return { w: w0 % params.W, seg: w1 % params.G };
    }),
    tiles: each(queries.tiles, (index) => ({
      t: 1 + (draw(index, 0, 5)[0] % (params.N - 1)),
      rows: each(queries.rowsPerTile, (k) => draw(index, 1 + k, 5)[0] % params.m),
    })),
  };
}

/** The row that row `prev` of tile t - 1 names for tile t. */
export function sourceOf(prev: Buffer, t: number, m: number): { t: number; i: number } {
  return { t: prev.readUInt32LE(0) % t, i: prev.readUInt32LE(4) % m };
}
