// The heavy part of checking an audit, twice: in the addon, and in JavaScript as the independent reference that the addon is compared with.

import type { Addon } from '../addon.ts';
import type { OgvParams } from '../backend.ts';
import { type Key, mixb, prf, rootOf } from './primitives.ts';
import { sizesOf } from './protocol.ts';

/** A prime below 2^31, for which sums of the Freivalds check stay exact. */
export const prime = 2 ** 31 - 1;

export interface OgvMath {
  /** Root of each leaf hash, 32 bytes each. `places`: tile, row, tile, row …; `paths`: siblings from the bottom up, of equal length. */
  roots(params: OgvParams, places: Uint32Array, leaves: Uint8Array, paths: Uint8Array): Uint8Array;
  /** Row of tile t before the last step: R products of the row of tile t - 1. */
  rowOf(params: OgvParams, key: Key, t: number, row: Uint8Array): Uint8Array;
  /** Sᵀv modulo the prime for two vectors of n values, one after the other. S is the matrix of product r of tile t. */
  transposed(params: OgvParams, key: Key, t: number, r: number, vectors: Uint32Array): Uint32Array;
  /** For each row and both vectors: ⟨y, u⟩ = ⟨sums, v⟩ modulo the prime. `sums`: little-endian int32. */
  dots(y: Uint8Array, sums: Uint8Array, u: Uint32Array, v: Uint32Array): boolean;
}

export function nativeMath(addon: Addon): OgvMath {
  return {
    roots: (params, places, leaves, paths) => addon.roots(sizesOf(params), places, leaves, paths),
    rowOf: (params, key, t, row) => addon.rowOf(sizesOf(params), ...key, t, row),
    transposed: (params, key, t, r, vectors) => addon.transposed(sizesOf(params), ...key, t, r, vectors),
    dots: (y, sums, u, v) => addon.dots(y, sums, u, v),
  };
}

function matrixOf(n: number, key: Key, t: number, r: number): Int8Array {
  return new Int8Array(prf(2 | (r << 8), t, key, 0, n * n).buffer);
}

/** `n` signed bytes times row `j` of `s`. */
function dot(row: Int8Array, s: Int8Array, j: number): number {
  let sum = 0;
  for (const [k, value] of row.entries()) sum += value * (s[j * row.length + k] as number);
  return sum;
}

function signed(bytes: Uint8Array): Int8Array {
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** About 10 ms a matrix at n = 64: for tests and small sizes. */
export const referenceMath: OgvMath = {
  roots({ m }, places, leaves, paths) {
    const count = places.length / 2;
    const size = paths.length / count;
    return Buffer.concat(
      Array.from({ length: count }, (_, at) => {
        const index = (places[2 * at] as number) * m + (places[2 * at + 1] as number);
        return rootOf(leaves.subarray(32 * at, 32 * at + 32), index, paths.subarray(size * at, size * (at + 1)));
      }),
    );
  },
  rowOf(params, key, t, row) {
    let y = Uint8Array.from(row);
    for (let r = 0; r < params.R; r++) {
      const s = matrixOf(params.n, key, t, r);
      const left = signed(y);
      y = Uint8Array.from({ length: params.n }, (_, j) => mixb(dot(left, s, j)));
    }
    return y;
  },
  transposed(params, key, t, r, vectors) {
    const { n } = params;
    const s = matrixOf(n, key, t, r);
    return Uint32Array.from({ length: 2 * n }, (_, index) => {
      const [from, k] = [index < n ? 0 : n, index % n];
      let sum = 0;
      for (let j = 0; j < n; j++) sum = (sum + (s[j * n + k] as number) * (vectors[from + j] as number)) % prime;
      return sum < 0 ? sum + prime : sum;
    });
  },
  dots(y, sums, u, v) {
    const n = u.length / 2;
    const left = signed(y);
    const right = new DataView(sums.buffer, sums.byteOffset, sums.length);
    for (let row = 0; row < y.length / n; row++) {
      for (const from of [0, n]) {
        let difference = 0n;
        for (let k = 0; k < n; k++) {
          difference += BigInt(left[row * n + k] as number) * BigInt(u[from + k] as number);
          difference -= BigInt(right.getInt32((row * n + k) * 4, true)) * BigInt(v[from + k] as number);
        }
        if (difference % BigInt(prime) !== 0n) return false;
      }
    }
    return true;
  },
};
