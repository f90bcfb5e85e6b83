// The vendor's libraries as a backend and as the validator's side, each in a child process. What reaches a library is checked here: it
// trusts its callers (graval.md 1.3, 1.4, 9.4).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type DeviceInfo,
  type GpuProof,
  type GravalBackend,
  GravalError,
  type RunOptions,
  type Sealed,
  type Verifier,
} from '../backend.ts';
import { startWorker, type Worker } from '../process/worker.ts';

/** The libraries of version 0.2.6, the only one whose structures are known here. */
export const knownLibraries = {
  miner: '5bdc75341138a24dc02725f00a1be1404f9029979aaa1f9a2a3e040661d08a4d',
  validator: '18cb03d76426f4fdee023a139a22558ca977aa5e44b96146e2c1a31d74847722',
} as const;

export interface VendorOptions {
  /** Path of libgraval-miner.so or libgraval-validator.so. */
  library: string;
  /** SHA-256 that the file must have, 64 hex digits; `any` for a library that you built yourself. Default: version 0.2.6. */
  sha256?: string | undefined;
  /** Added to the child's environment (OCL_ICD_VENDORS, LD_LIBRARY_PATH …). */
  environment?: Record<string, string> | undefined;
}

const maxSeed = 2n ** 63n - 1n;

function inputUnless(held: boolean, message: string): void {
  if (!held) throw new GravalError('BAD_INPUT', message);
}

function checkSeed(seed: bigint): void {
  inputUnless(seed >= 1n && seed <= maxSeed, 'a seed is 1 … 2^63-1');
}

function checkIterations(iterations: number): void {
  inputUnless(Number.isInteger(iterations) && iterations >= 1 && iterations <= 10, 'iterations are 1 … 10');
}

function checkRecord(device: DeviceInfo): void {
  inputUnless(/^[0-9a-f]{32}$/.test(device.uuid), 'a uuid is 32 lower-case hex digits');
  inputUnless(Buffer.byteLength(device.name) <= 64 && !device.name.includes('\0'), 'a name has at most 64 bytes');
  const numbers = [device.memory, device.processors, device.max_threads_per_processor];
  inputUnless(
    numbers.every((value) => Number.isSafeInteger(value) && value >= 0),
    'sizes of a record are whole numbers',
  );
  inputUnless(Number.isFinite(device.clock_rate) && device.clock_rate >= 0, 'a clock rate is a number of kHz');
}

function checkHex64(text: string, what: string): void {
  inputUnless(/^[0-9a-f]{64}$/.test(text), `${what} is 64 lower-case hex digits`);
}

function checkLibrary(options: VendorOptions, expected: string): void {
  const wanted = options.sha256 ?? expected;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(options.library);
  } catch (cause) {
    throw new GravalError('NO_LIBRARY', `${options.library} cannot be read`, { cause });
  }
  if (wanted === 'any') return;
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== wanted) throw new GravalError('BAD_ABI', `${options.library} has SHA-256 ${found}, expected ${wanted}`);
}

function workerFor(method: 'loadMiner' | 'loadValidator', options: VendorOptions): Worker {
  checkLibrary(options, method === 'loadMiner' ? knownLibraries.miner : knownLibraries.validator);
  return startWorker({ environment: options.environment ?? {}, setUp: [method, options.library] });
}

/** Throws NO_LIBRARY, BAD_ABI. */
export function openVendor(options: VendorOptions): GravalBackend {
  const worker = workerFor('loadMiner', options);
  return {
    kind: 'vendor',
    devices: () => worker.call<DeviceInfo[]>('vendorDevices'),
    prover: {
      async prove(seed, iterations, run: RunOptions = {}) {
        checkSeed(seed);
        checkIterations(iterations);
        const report = (done: number) => run.onProgress?.({ uuid: '', phase: 'prove', done, total: 1 });
        report(0);
        const proofs = await worker.call<Record<string, GpuProof>>('prove', [seed, iterations], {
          signal: run.signal,
          deadlineMs: run.deadlineMs,
        });
        report(1);
        return proofs;
      },
      async decrypt(input) {
        inputUnless(input.iv.length === 16, 'an initialization vector has 16 bytes');
        return worker.call<string>('decrypt', [input]);
      },
      async infoChallenge(challenge) {
        checkHex64(challenge, 'an info challenge');
        return worker.call<string>('infoAnswer', [challenge]);
      },
      async fsChallenge(path, offset, length) {
        const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
        inputUnless(
          whole && offset >= 0 && length > 0 && !path.includes('\0'),
          'a range starts at 0 or later and is not empty',
        );
        return worker.call<string>('fileAnswer', [path, offset, length]);
      },
    },
    close: () => worker.close(),
  };
}

/** The validator's side. It needs a GPU as well, but works from the record that it is given. Throws NO_LIBRARY, BAD_ABI. */
export function openVendorVerifier(options: VendorOptions): Verifier {
  const worker = workerFor('loadValidator', options);
  return {
    async encrypt(device, text, iterations, seed, run = {}) {
      checkRecord(device);
      checkSeed(seed);
      checkIterations(iterations);
      inputUnless(!text.includes('\0'), 'a text holds no NUL');
      const { signal, deadlineMs } = run;
      return worker.call<Sealed>('encrypt', [device, text, iterations, seed], { signal, deadlineMs });
    },
    async checkProof(device, seed, proof, spot, run = {}) {
      checkRecord(device);
      checkSeed(seed);
      const { signal, deadlineMs } = run;
      return worker.call<boolean>('checkProof', [device, seed, proof, spot], { signal, deadlineMs });
    },
    makeInfoChallenge: (count) => worker.call<string>('makeInfoChallenge', [count]),
    async checkInfo(challenge, answer, devices) {
      for (const device of devices) checkRecord(device);
      // The library reads 64 bytes whatever is there.
      if (!/^[0-9a-f]{64}$/.test(answer) || devices.length === 0) return false;
      checkHex64(challenge, 'an info challenge');
      return worker.call<boolean>('checkInfo', [challenge, answer, devices]);
    },
    close: () => worker.close(),
  };
}
