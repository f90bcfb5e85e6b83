// The heavy part of checking an audit, twice: in the addon, and in JavaScript as the independent reference that the addon is compared with.

import type { Addon } from '../addon.ts';
import type { OgvParams } from '../backend.ts';
import { type Key, mixb, prf, rootOf, sha256, u32 } from './primitives.ts';
import { sizesOf } from './protocol.ts';

/** A prime below 2^31, for which sums of the Freivalds check stay exact. */
export const prime = 2 ** 31 - 1;

/** Rows of y, n bytes each, and what they are said to give: n little-endian int32 for each, at a multiple of 4. */
export interface Claim {
  /** Tile and product whose matrix S leads from one to the other. */
  t: number;
  r: number;
  y: Uint8Array;
  sums: Uint8Array;
}

export interface OgvMath {
  /** Root of each row, 32 bytes each. `places`: tile, row, tile, row …; `paths`: siblings from the bottom up, of equal length. */
  roots(params: OgvParams, places: Uint32Array, rows: Uint8Array, paths: Uint8Array): Uint8Array;
  /** Row of tile t before the last step: R products of the row of tile t - 1. */
  rowOf(params: OgvParams, key: Key, t: number, row: Uint8Array): Uint8Array;
  /** For each row and both vectors v, n values below the prime each: ⟨y, Sᵀv⟩ = ⟨sums, v⟩ modulo the prime. */
  product(params: OgvParams, key: Key, claim: Claim, vectors: Uint32Array): boolean;
  /** In each row the sums of these columns, each below n, are those of y and S. */
  columns(params: OgvParams, key: Key, claim: Claim, columns: Uint32Array): boolean;
  /** Each sum as the byte that goes into the next product. */
  mixed(sums: Uint8Array): Uint8Array;
}

export function nativeMath(addon: Addon): OgvMath {
  return {
    roots: (params, places, rows, paths) => addon.roots(sizesOf(params), places, rows, paths),
    rowOf: (params, key, t, row) => addon.rowOf(sizesOf(params), ...key, t, row),
    product: (params, key, { t, r, y, sums }, vectors) =>
      addon.product(sizesOf(params), ...key, t, r, vectors, y, sums),
    columns: (params, key, { t, r, y, sums }, columns) =>
      addon.columns(sizesOf(params), ...key, t, r, columns, y, sums),
    mixed: (sums) => addon.mixed(sums),
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

function sumsOf(sums: Uint8Array): Int32Array {
  const view = new DataView(sums.buffer, sums.byteOffset, sums.length);
  return Int32Array.from({ length: sums.length / 4 }, (_, at) => view.getInt32(4 * at, true));
}

/** Sᵀv modulo the prime, for two vectors one after the other. */
function transposed(s: Int8Array, n: number, vectors: Uint32Array): Uint32Array {
  return Uint32Array.from({ length: 2 * n }, (_, index) => {
    const [from, k] = [index < n ? 0 : n, index % n];
    let sum = 0;
    for (let j = 0; j < n; j++) sum = (sum + (s[j * n + k] as number) * (vectors[from + j] as number)) % prime;
    return sum < 0 ? sum + prime : sum;
  });
}

/** About 10 ms a matrix at n = 64: for tests and small sizes. */
export const referenceMath: OgvMath = {
  roots({ n, m }, places, rows, paths) {
    const count = places.length / 2;
    const size = paths.length / count;
    return Buffer.concat(
      Array.from({ length: count }, (_, at) => {
        const [t, i] = [places[2 * at] as number, places[2 * at + 1] as number];
        const leaf = sha256('\0', u32(t, i), rows.subarray(n * at, n * (at + 1)));
        return rootOf(leaf, t * m + i, paths.subarray(size * at, size * (at + 1)));
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
  product({ n }, key, { t, r, y, sums }, v) {
    const u = transposed(matrixOf(n, key, t, r), n, v);
    const [left, right] = [signed(y), sumsOf(sums)];
    for (let row = 0; row < y.length / n; row++) {
      for (const from of [0, n]) {
        let difference = 0n;
        for (let k = 0; k < n; k++) {
          difference += BigInt(left[row * n + k] as number) * BigInt(u[from + k] as number);
          difference -= BigInt(right[row * n + k] as number) * BigInt(v[from + k] as number);
        }
        if (difference % BigInt(prime) !== 0n) return false;
      }
    }
    return true;
  },
  columns({ n }, key, { t, r, y, sums }, columns) {
    const s = matrixOf(n, key, t, r);
    const [left, right] = [signed(y), sumsOf(sums)];
    return Array.from({ length: y.length / n }, (_, row) => row).every((row) =>
      columns.every((j) => dot(left.subarray(row * n, (row + 1) * n), s, j) === right[row * n + j]),
    );
  },
  mixed: (sums) => Uint8Array.from(sumsOf(sums), mixb),
};
