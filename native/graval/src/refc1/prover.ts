// The seed document's proof by refc1 (graval.md 6.3) on the CPU of this machine: the wire shapes of the vendor's library over open maths.
// Whoever encrypts repeats the whole work, so it is for tests, demos and private networks, and no security mechanism.

import { createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type DeviceInfo, type GpuProof, GravalError, type Prover } from '../backend.ts';
import { deviceDigest, hexBytes, sha256, u64 } from '../ogv/primitives.ts';
import type { Worker } from '../process/worker.ts';

/** Side of the square matrices (a multiple of 64) and how many there are. Must be equal on both sides. */
export interface Refc1Sizes {
  n: number;
  num: number;
}

export const defaultSizes: Refc1Sizes = { n: 64, num: 8 };

const hashBytes = 32;
const ivBytes = 16;
const tagBytes = 16;
const largestSeed = 2n ** 63n - 1n;

interface Proven {
  seed: bigint;
  /** AES-256 keys by GPU. */
  keys: Map<string, Uint8Array>;
}

function decryptWith(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array): string {
  try {
    if (iv.length !== ivBytes || sealed.length < tagBytes) throw new RangeError('too short');
    const decipher = createDecipheriv('aes-256-gcm', key, iv);
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return decipher.update(sealed.subarray(0, -tagBytes), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    throw new GravalError('DECRYPT_FAILED', 'the text was not encrypted for this GPU and proof');
  }
}

/** SHA-256 of exactly that part of a regular file. */
async function fileHash(path: string, offset: number, length: number): Promise<string> {
  const wrong = (why: string) => new GravalError('BAD_INPUT', `the part of the file cannot be hashed: ${why}`);
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) throw wrong('it cannot be opened');
  try {
    const stat = await file.stat();
    const fits = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length > 0;
    if (!stat.isFile() || !fits || offset + length > stat.size) throw wrong('the range is empty or leaves the file');
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ start: offset, end: offset + length - 1, autoClose: false }))
      hash.update(chunk as Buffer);
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

/** `worker` computes; it ends when a proof is aborted or late. */
export function refc1Prover(devices: readonly DeviceInfo[], worker: Worker, { n, num } = defaultSizes): Prover {
  let proven: Proven | undefined;

  /** Hashes and key of one GPU. */
  async function work(device: DeviceInfo, seed: bigint, iterations: number, options: { signal?: AbortSignal }) {
    const salt = sha256('refc1/ctx\0', u64(seed), deviceDigest(device));
    const words = sha256('refc1/key\0', salt);
    const args = [words.readUInt32LE(0), words.readUInt32LE(4), n, num, iterations];
    const bytes = Buffer.from(await worker.call<Uint8Array>('refc1Hashes', args, options));
    const last = bytes.subarray(-num * hashBytes);
    const key = new Uint8Array(hkdfSync('sha256', last, salt, 'refc1/aes\0', 32));
    const hashes = Array.from({ length: bytes.length / hashBytes }, (_, i) =>
      bytes.toString('hex', i * hashBytes, (i + 1) * hashBytes),
    );
    return { key, hashes };
  }

  return {
    async prove(seed, iterations, { signal, deadlineMs, onProgress } = {}) {
      if (seed < 1n || seed > largestSeed) throw new GravalError('BAD_INPUT', 'a seed is from 1 to 2^63-1');
      if (!Number.isInteger(iterations) || iterations < 1 || iterations > 10)
        throw new GravalError('BAD_INPUT', 'a proof has 1 to 10 iterations');
      proven = undefined;
      const late = deadlineMs === undefined ? undefined : AbortSignal.timeout(deadlineMs);
      const limits = [signal, late].filter((one) => one !== undefined);
      const keys = new Map<string, Uint8Array>();
      const proofs: Record<string, GpuProof> = {};
      for (const [device_id, device] of devices.entries()) {
        const { uuid, name } = device;
        const { key, hashes } = await work(device, seed, iterations, { signal: AbortSignal.any(limits) }).catch(
          (error: unknown) => {
            if (late?.aborted) throw new GravalError('TIMEOUT', `the proof took longer than ${deadlineMs} ms`);
            throw error;
          },
        );
        keys.set(uuid, key);
        const work_product = { intermediate_hashes: hashes, num_matrices: num, total_iterations: iterations };
        proofs[uuid] = { device_id, device_uuid: uuid, device_name: name, work_product };
        onProgress?.({ uuid, phase: 'prove', done: device_id + 1, total: devices.length });
      }
      proven = { seed, keys };
      return proofs;
    },

    async decrypt({ seed, uuid, iv, ciphertext }) {
      if (!proven) throw new GravalError('NOT_PROVEN', 'no proof was done since the start');
      if (proven.seed !== seed) throw new GravalError('SEED_MISMATCH', 'the last proof was for another seed');
      const key = proven.keys.get(uuid);
      if (!key) throw new GravalError('BAD_INPUT', `there is no GPU ${uuid}`);
      return decryptWith(key, iv, ciphertext);
    },

    async infoChallenge(challenge) {
      if (!/^[0-9a-f]{64}$/.test(challenge)) throw new GravalError('BAD_INPUT', 'a challenge is 64 hex digits');
      const bytes = hexBytes(challenge);
      const device = devices[bytes[0] ?? 0] ?? devices[0];
      if (!device) throw new GravalError('NO_DEVICE', 'there is no GPU');
      return sha256('refc1/info\0', bytes, deviceDigest(device)).toString('hex');
    },

    fsChallenge: fileHash,
  };
}
