// The types of the addon, and its loading. Values that cross: sizes as numbers, seeds and walk keys as bigint, matrices as bytes.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type DeviceInfo, GravalError } from './backend.ts';
import { addonPath } from './build.ts';

export type EngineKind = 'cpu' | 'cuda' | 'emulated';
export type NativeProgress = (phase: 'alloc' | 'fill' | 'hash' | 'walk', done: number, total: number) => void;

/** Tiles of one session. Calls reject with `code`; one at a time. */
export interface NativeSession {
  /** Root of all tiles. */
  fill(progress?: NativeProgress): Promise<Uint8Array>;
  /** Root of all walks. */
  walk(a: bigint, b: bigint, progress?: NativeProgress): Promise<Uint8Array>;
  /** `places`: tile, row, tile, row …; the rows, n bytes each. */
  rows(places: Uint32Array): Promise<Uint8Array>;
  /** Their Merkle paths, of equal length. */
  paths(places: Uint32Array): Promise<Uint8Array>;
  /** Places that walker `w` reads in segment `segment`. */
  steps(w: number, segment: number): Promise<Uint32Array>;
  /** For each row of tile `t`: R times n little-endian int32. */
  sums(t: number, rows: Uint32Array): Promise<Uint8Array>;
  checkpoints(w: number): Uint8Array;
  walkPath(w: number): Uint8Array;
  free(): void;
}

interface VendorRecord extends DeviceInfo {
  work?: { hashes: Uint8Array[]; num_matrices: number; total_iterations: number };
}

/** One of the vendor's libraries in this process. Blocks; see vendor.ts for the rules of use. */
export interface NativeVendor {
  loadMiner(path: string): void;
  loadValidator(path: string): void;
  initialize(): number;
  deviceInfo(index: number): VendorRecord;
  prove(seed: bigint, iterations: number): number;
  decrypt(index: number, seed: bigint, iv: Uint8Array, ciphertext: Uint8Array): string | undefined;
  infoAnswer(challenge: string): string | undefined;
  fileAnswer(path: string, offset: number, length: number): string | undefined;
  encrypt(
    device: DeviceInfo,
    text: string,
    iterations: number,
    seed: bigint,
  ): { seed: bigint; iv: Uint8Array; ciphertext: Uint8Array } | undefined;
  checkProof(
    device: DeviceInfo,
    seed: bigint,
    iteration: number,
    index: number,
    hashes: Uint8Array[],
    matrices: number,
    iterations: number,
  ): boolean;
  makeInfoChallenge(count: number): string | undefined;
  checkInfo(challenge: string, answer: string, devices: readonly DeviceInfo[]): boolean;
}

/** Compares sums with y times the matrix of product `r` of tile `t`. `drawn`: two vectors, or columns. */
type NativeCheck = (
  sizes: Uint32Array,
  k0: number,
  k1: number,
  t: number,
  r: number,
  drawn: Uint32Array,
  y: Uint8Array,
  sums: Uint8Array,
) => boolean;

export interface Addon {
  OgvSession: new (
    kind: EngineKind,
    device: number,
    threads: number,
    lanes: string | undefined,
    sizes: Uint32Array,
    k0: number,
    k1: number,
  ) => NativeSession;
  /** What checks an audit; see OgvMath. `sums` must lie at a multiple of 4. */
  rowOf(sizes: Uint32Array, k0: number, k1: number, t: number, row: Uint8Array): Uint8Array;
  roots(sizes: Uint32Array, places: Uint32Array, rows: Uint8Array, paths: Uint8Array): Uint8Array;
  product: NativeCheck;
  columns: NativeCheck;
  mixed(sums: Uint8Array): Uint8Array;
  /** Of all matrices, iteration by iteration, 32 bytes each; on all cores, and blocks. `n`: a multiple of 64. */
  refc1Hashes(k0: number, k1: number, n: number, matrices: number, iterations: number): Uint8Array;
  cpu(): { lanes: string; threads: number };
  /** Audits are checked with this instruction set from now on; false where it cannot run. For tests. */
  useLanes(name: 'avx512' | 'avx2' | 'plain'): boolean;
  cudaDevices(): DeviceInfo[];
  hasKernels: boolean;
  dieWithParent(): void;
  vendor: NativeVendor;
}

/** Throws NO_LIBRARY when it was not built. */
export function loadAddon(): Addon {
  if (!existsSync(addonPath)) throw new GravalError('NO_LIBRARY', 'the addon is not built: run npm run graval:build');
  return createRequire(import.meta.url)(addonPath) as Addon;
}
