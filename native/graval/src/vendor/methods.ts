// What a child process does with the vendor's library, and the rules that keep the library from crashing (graval.md 1.5, 9.4, 9.5):
// nothing after a failed start, no decryption under another seed, no index beyond a proof.

import type { NativeVendor } from '../addon.ts';
import { type DeviceInfo, type GpuProof, GravalError, type WorkProduct } from '../backend.ts';

function must<T>(value: T | undefined, code: 'DECRYPT_FAILED' | 'BAD_INPUT' | 'INTERNAL', message: string): T {
  if (value === undefined) throw new GravalError(code, message);
  return value;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function vendorMethods(vendor: NativeVendor) {
  let count: number | undefined;
  let proven: { seed: bigint; uuids: string[] } | undefined;

  /** Number of GPUs. After a 0 the library crashes on the next call, so none is made. */
  function start(): number {
    count ??= vendor.initialize();
    if (count === 0)
      throw new GravalError('NO_DEVICE', 'the library finds no GPU: OpenCL, its driver or CLBlast is missing');
    return count;
  }

  function records() {
    return Array.from({ length: start() }, (_, index) => vendor.deviceInfo(index));
  }

  function devices(): DeviceInfo[] {
    return records().map(({ work, ...record }) => record);
  }

  function prove(seed: bigint, iterations: number): Record<string, GpuProof> {
    start();
    proven = undefined;
    vendor.prove(seed, iterations);
    // The library counts the GPUs that it tried: what counts is what each of them holds afterwards.
    const proofs: Record<string, GpuProof> = {};
    const all = records();
    for (const [device_id, { uuid, name, work }] of all.entries()) {
      if (!work || work.total_iterations !== iterations || work.hashes.length === 0) {
        throw new GravalError(
          'NOT_PROVEN',
          `GPU ${device_id} (${name}) did no proof: too little of its memory is free`,
        );
      }
      const { num_matrices, total_iterations } = work;
      const work_product = { intermediate_hashes: work.hashes.map(hex), num_matrices, total_iterations };
      proofs[uuid] = { device_id, device_uuid: uuid, device_name: name, work_product };
    }
    proven = { seed, uuids: all.map(({ uuid }) => uuid) };
    return proofs;
  }

  function decrypt(input: { seed: bigint; uuid: string; iv: Uint8Array; ciphertext: Uint8Array }): string {
    if (!proven) throw new GravalError('NOT_PROVEN', 'no proof was done since the start');
    if (proven.seed !== input.seed) throw new GravalError('SEED_MISMATCH', 'the last proof was for another seed');
    const index = proven.uuids.indexOf(input.uuid);
    if (index < 0) throw new GravalError('BAD_INPUT', `there is no GPU ${input.uuid}`);
    const text = vendor.decrypt(index, input.seed, input.iv, input.ciphertext);
    return must(text, 'DECRYPT_FAILED', 'the text was encrypted for another GPU or proof');
  }

  function checkProof(
    device: DeviceInfo,
    seed: bigint,
    proof: WorkProduct,
    spot: { index: number; iteration: number },
  ): boolean {
    const { intermediate_hashes: hashes, num_matrices, total_iterations } = proof;
    if (hashes.length !== num_matrices * total_iterations) return false;
    if (spot.iteration >= total_iterations || spot.index >= num_matrices) return false;
    if (!hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash))) return false;
    start();
    const bytes = hashes.map((hash) => Buffer.from(hash, 'hex'));
    return vendor.checkProof(device, seed, spot.iteration, spot.index, bytes, num_matrices, total_iterations);
  }

  return {
    loadMiner: vendor.loadMiner,
    loadValidator: vendor.loadValidator,
    vendorDevices: devices,
    prove,
    decrypt,
    checkProof,
    infoAnswer(challenge: string): string {
      start();
      return must(vendor.infoAnswer(challenge), 'INTERNAL', 'the library gives no answer to the info challenge');
    },
    fileAnswer: (path: string, offset: number, length: number): string =>
      must(
        vendor.fileAnswer(path, offset, length),
        'BAD_INPUT',
        'no such file, or the range is empty or leaves the file',
      ),
    encrypt(device: DeviceInfo, text: string, iterations: number, seed: bigint) {
      start();
      return must(
        vendor.encrypt(device, text, iterations, seed),
        'INTERNAL',
        'the library does not encrypt for this record',
      );
    },
    makeInfoChallenge(gpus: number): string {
      start();
      return must(vendor.makeInfoChallenge(gpus), 'INTERNAL', 'the library makes no challenge');
    },
    checkInfo: (challenge: string, answer: string, list: readonly DeviceInfo[]): boolean =>
      vendor.checkInfo(challenge, answer, list),
  };
}
