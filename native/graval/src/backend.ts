// What every way of proving GPUs offers: the vendor's libraries, CUDA, CPU. Work runs in a child process: a crash there rejects the call
// with INTERNAL and the next call starts anew. One job at a time per backend; others wait in order.

export type BackendKind = 'vendor' | 'cuda' | 'cpu';

/** Record of a GPU as it is advertised (graval.md 2): `memory` in bytes, `clock_rate` in kHz, `uuid` 32 lower-case hex digits. */
export interface DeviceInfo {
  uuid: string;
  name: string;
  memory: number;
  processors: number;
  clock_rate: number;
  max_threads_per_processor: number;
  major?: number;
  minor?: number;
  ecc?: boolean;
}

/** `intermediate_hashes`: 64 hex digits each, `num_matrices` of them per iteration. */
export interface WorkProduct {
  intermediate_hashes: string[];
  num_matrices: number;
  total_iterations: number;
}

export interface GpuProof {
  device_id: number;
  device_uuid: string;
  device_name: string;
  work_product: WorkProduct;
}

export type Phase = 'alloc' | 'fill' | 'hash' | 'walk' | 'prove';

/** `done` of `total` in units of the phase: tiles, walk steps, proofs. */
export interface Progress {
  uuid: string;
  phase: Phase;
  done: number;
  total: number;
}

/** After `signal` or `deadlineMs` the call rejects with ABORTED or TIMEOUT; its child process and GPU memory are given up. */
export interface RunOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  deadlineMs?: number | undefined;
}

/** `iv` 16 bytes; the seed travels beside the ciphertext, not in it. */
export interface Sealed {
  seed: bigint;
  iv: Uint8Array;
  ciphertext: Uint8Array;
}

/** The seed document's proof, as the upstream validator asks for it (graval.md 3). */
export interface Prover {
  /** On all GPUs at once, keyed by uuid. `seed` 1 … 2^63-1, `iterations` 1 … 10. NOT_PROVEN when any GPU failed. */
  prove(seed: bigint, iterations: number, options?: RunOptions): Promise<Record<string, GpuProof>>;
  /** NOT_PROVEN before a proof, SEED_MISMATCH for another seed than the last proof's, DECRYPT_FAILED for another GPU's text. */
  decrypt(input: Sealed & { uuid: string }): Promise<string>;
  /** Answer of 64 hex digits to a challenge of 64 hex digits. */
  infoChallenge(challenge: string): Promise<string>;
  /** SHA-256 of `length` bytes of the file from `offset`, 64 hex digits. BAD_INPUT when the range is empty or leaves the file. */
  fsChallenge(path: string, offset: number, length: number): Promise<string>;
}

/** The validator's side of `Prover`. It works from the advertised record alone. */
export interface Verifier {
  /** `seed` 1 … 2^63-1: the vendor's own choice of a seed does not return (graval.md 9.4). */
  encrypt(device: DeviceInfo, text: string, iterations: number, seed: bigint, options?: RunOptions): Promise<Sealed>;
  /** Checks exactly the hash at (`iteration`, `index`); index 0 lets the vendor's library choose. */
  checkProof(
    device: DeviceInfo,
    seed: bigint,
    proof: WorkProduct,
    spot: { index: number; iteration: number },
    options?: RunOptions,
  ): Promise<boolean>;
  makeInfoChallenge(count: number): Promise<string>;
  checkInfo(challenge: string, answer: string, devices: readonly DeviceInfo[]): Promise<boolean>;
  close(): Promise<void>;
}

/** Sizes of an ogv1 challenge (graval.md 6.4): tiles of m×n bytes, N of them, R products each; W walkers of K·G steps. */
export interface OgvParams {
  n: number;
  m: number;
  N: number;
  R: number;
  W: number;
  K: number;
  G: number;
}

/** `nonce`: 64 hex digits; `device`: uuid. */
export interface OgvChallenge {
  seed: bigint;
  nonce: string;
  device: string;
  params: OgvParams;
}

/** All but `sessionId` and `phaseMs`: 64 hex digits. */
export interface OgvCommit {
  sessionId: string;
  pkM: string;
  rootFill: string;
  rootWalk: string;
  commit: string;
  phaseMs: Partial<Record<Phase, number>>;
}

/** How much is audited; which rows, walks and tiles follows from the commit and `auditSeed` (64 hex digits). */
export interface OgvQueries {
  auditSeed: string;
  rows: number;
  walks: number;
  tiles: number;
  rowsPerTile: number;
}

/** Row `i` of tile `t` and its Merkle path (siblings, tile levels first), base64. */
export interface OgvRow {
  t: number;
  i: number;
  row: string;
  path: string;
}

export interface OgvOpening {
  rows: { x: OgvRow; prev?: OgvRow | undefined; src?: OgvRow | undefined }[];
  walks: { w: number; seg: number; checkpoints: string; path: string; rows: OgvRow[] }[];
  /** `c`: the R raw sums of the row, n little-endian int32 each, base64. */
  tiles: { t: number; rows: { prev: OgvRow; src: OgvRow; x: OgvRow; c: string[] }[] }[];
}

/** The open protocol: commit, audit, release. A session holds the GPU's memory until it is released, discarded or 60 s old. */
export interface OgvProver {
  /** VRAM_BUSY when the memory is not free; BAD_INPUT for parameters outside the protocol. */
  commit(challenge: OgvChallenge, options?: RunOptions): Promise<OgvCommit>;
  /** One audit per session. */
  audit(sessionId: string, queries: OgvQueries, options?: RunOptions): Promise<OgvOpening>;
  /** The text sealed for this session and `purpose` (base64); ends the session. DECRYPT_FAILED when it was not. */
  release(sessionId: string, sealed: string, purpose: string): Promise<string>;
  discard(sessionId: string): Promise<void>;
}

export interface GravalBackend {
  readonly kind: BackendKind;
  /** In the order that is the `device_index`. Starts the backend on the first call. NO_DEVICE when there is none. */
  devices(): Promise<DeviceInfo[]>;
  readonly prover?: Prover;
  readonly ogv?: OgvProver;
  /** Ends the child process and with it all sessions. */
  close(): Promise<void>;
}

export type GravalErrorCode =
  | 'NO_LIBRARY'
  | 'NO_DRIVER'
  | 'NO_DEVICE'
  | 'BAD_ABI'
  | 'NOT_PROVEN'
  | 'SEED_MISMATCH'
  | 'VRAM_BUSY'
  | 'DECRYPT_FAILED'
  | 'BAD_INPUT'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'INTERNAL';

/** Every failure of a backend; `message` is a sentence for the operator and holds no secret. */
export class GravalError extends Error {
  readonly code: GravalErrorCode;
  constructor(code: GravalErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'GravalError';
    this.code = code;
  }
}
