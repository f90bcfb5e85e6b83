// The open proof profile `refc1` (graval.md 6.3): a small seeded matrix chain per GPU, whose last hashes are the key of one message.
// Not a security mechanism: whoever encrypts repeats the whole work. Both sides of the simulated network and the demo's GPU nodes use it.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { deviceDigest, type Key, mixb, prf, sha256, u32, u64 } from '@miner/graval/ogv/primitives.ts';

/** What of a GPU's record enters its proof; `memory` in bytes, `clock_rate` in kHz. */
export interface ProofDevice {
  /** 32 hex digits. */
  uuid: string;
  name: string;
  memory: number;
  clock_rate: number;
  processors?: number | undefined;
  max_threads_per_processor?: number | undefined;
}

/** Side of the square matrices (a power of two) and how many there are. Must be equal on both sides. */
export interface ProofSizes {
  n: number;
  num: number;
}

export const defaultSizes: ProofSizes = { n: 64, num: 8 };

export interface WorkProduct {
  /** 64 hex digits each, iteration by iteration, `num_matrices` of them per iteration. */
  intermediate_hashes: string[];
  num_matrices: number;
  total_iterations: number;
}

export interface Work {
  workProduct: WorkProduct;
  /** AES-256 key that only this work gives. */
  key: Uint8Array;
}

/** Any lie about the GPU changes every later value. */
function digestOf({ processors = 0, max_threads_per_processor = 0, ...device }: ProofDevice): Buffer {
  return deviceDigest({ ...device, processors, max_threads_per_processor });
}

/** Answer (64 hex digits) to a challenge of 64 hex digits; its first byte names the GPU, index 0 if there is no such GPU. */
export function infoAnswer(challenge: string, devices: readonly ProofDevice[]): string {
  const bytes = Buffer.from(challenge, 'hex');
  const device = devices[bytes[0] ?? 0] ?? devices[0];
  if (bytes.length !== 32 || !device) throw new RangeError('an info challenge is 64 hex digits for at least one GPU');
  return sha256('refc1/info\0', bytes, digestOf(device)).toString('hex');
}

function matrix(domain: number, stream: number, key: Key, n: number): Int8Array {
  const bytes = prf(domain, stream, key, 0, n * n);
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Rows of `y` by rows of `s`. `n` is a multiple of 4: four sums at once make it nearly twice as fast. */
function multiply(y: Int8Array, s: Int8Array, n: number): Int8Array {
  const product = new Int8Array(n * n);
  const left = Int32Array.from(y);
  const right = Int32Array.from(s);
  const at = (values: Int32Array, i: number) => values[i] as number;
  for (let r = 0; r < n; r++) {
    const row = r * n;
    for (let c = 0; c < n; c += 4) {
      const [c0, c1, c2, c3] = [c * n, (c + 1) * n, (c + 2) * n, (c + 3) * n];
      let [a, b, d, e] = [0, 0, 0, 0];
      for (let k = 0; k < n; k++) {
        const value = at(left, row + k);
        a = (a + Math.imul(value, at(right, c0 + k))) | 0;
        b = (b + Math.imul(value, at(right, c1 + k))) | 0;
        d = (d + Math.imul(value, at(right, c2 + k))) | 0;
        e = (e + Math.imul(value, at(right, c3 + k))) | 0;
      }
      product[row + c] = mixb(a);
      product[row + c + 1] = mixb(b);
      product[row + c + 2] = mixb(d);
      product[row + c + 3] = mixb(e);
    }
  }
  return product;
}

function context(seed: bigint, device: ProofDevice): { salt: Buffer; key: Key } {
  const salt = sha256('refc1/ctx\0', u64(seed), digestOf(device));
  const words = sha256('refc1/key\0', salt);
  return { salt, key: [words.readUInt32LE(0), words.readUInt32LE(4)] };
}

function* chain(key: Key, index: number, iterations: number, n: number): Generator<string> {
  const s = matrix(0x11, index, key, n);
  let y = matrix(0x10, index, key, n);
  for (let iteration = 0; iteration < iterations; iteration++) {
    y = multiply(y, s, n);
    yield sha256(Uint8Array.of(0x10), u32(iteration), u32(index), y as unknown as Uint8Array).toString('hex');
  }
}

/** The whole work of one GPU: its proof and the key of the message encrypted for it. `iterations` is at least 1. */
export function prove(seed: bigint, iterations: number, device: ProofDevice, sizes = defaultSizes): Work {
  const { salt, key } = context(seed, device);
  const hashes = new Array<string>(iterations * sizes.num);
  for (let index = 0; index < sizes.num; index++) {
    for (const [iteration, hash] of [...chain(key, index, iterations, sizes.n)].entries()) {
      hashes[iteration * sizes.num + index] = hash;
    }
  }
  const last = Buffer.from(hashes.slice(-sizes.num).join(''), 'hex');
  return {
    workProduct: { intermediate_hashes: hashes, num_matrices: sizes.num, total_iterations: iterations },
    key: new Uint8Array(hkdfSync('sha256', last, salt, 'refc1/aes\0', 32)),
  };
}

/** True if the work product has the right shape and its hash at (iteration, index) is the recomputed one. */
export function checkProof(
  device: ProofDevice,
  seed: bigint,
  expected: { iterations: number; sizes?: ProofSizes },
  proof: WorkProduct,
  spot: { iteration: number; index: number },
): boolean {
  const { n, num } = expected.sizes ?? defaultSizes;
  if (proof.num_matrices !== num || proof.total_iterations !== expected.iterations) return false;
  if (proof.intermediate_hashes.length !== num * expected.iterations) return false;
  if (spot.iteration >= expected.iterations || spot.index >= num) return false;
  const hash = [...chain(context(seed, device).key, spot.index, spot.iteration + 1, n)].at(-1);
  return proof.intermediate_hashes[spot.iteration * num + spot.index] === hash;
}

/** AES-256-GCM under the key of a work: base64(iv 16 ‖ ciphertext ‖ tag 16). */
export function encryptWith(work: Work, text: string, iv: Uint8Array = randomBytes(16)): string {
  const cipher = createCipheriv('aes-256-gcm', work.key, iv);
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** Undefined when the text was encrypted for another GPU, seed or number of iterations, or was altered. */
export function decryptWith(work: Work, wire: string): string | undefined {
  const bytes = Buffer.from(wire, 'base64');
  if (bytes.length < 32) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', work.key, bytes.subarray(0, 16));
  decipher.setAuthTag(bytes.subarray(-16));
  try {
    return decipher.update(bytes.subarray(16, -16), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
}
