// Which backend proves the GPUs of this machine (graval.md 6.2).

import { totalmem } from 'node:os';
import { loadAddon } from './addon.ts';
import { type DeviceInfo, type GravalBackend, GravalError } from './backend.ts';
import { openNative } from './native.ts';
import { sha256 } from './ogv/primitives.ts';
import { openCpu } from './refc1/backend.ts';
import type { Refc1Sizes } from './refc1/prover.ts';
import { openVendor } from './vendor/backend.ts';

export interface BackendOptions {
  /** `auto`: the vendor's library when its path is set, else CUDA; never the CPU, which is for tests. */
  backend: 'auto' | 'vendor' | 'cuda' | 'cpu';
  /** Path of libgraval-miner.so; required for `vendor`. */
  minerLibrary?: string | undefined;
  /** SHA-256 of that file; default: the one of version 0.2.6; `any` for a library of your own. */
  minerLibrarySha256?: string | undefined;
  /** Added to what little the backend's process gets of the environment. */
  environment?: Record<string, string> | undefined;
  /** Records that the CPU stands in for; default: one of its own. */
  cpuDevices?: readonly DeviceInfo[] | undefined;
  /** Amount of work in a refc1 proof of the CPU; the other side must have the same. */
  refc1Sizes?: Refc1Sizes | undefined;
}

function cpuRecord(): DeviceInfo {
  const { lanes, threads } = loadAddon().cpu();
  return {
    uuid: sha256('graval cpu').toString('hex').slice(0, 32),
    name: `CPU (${lanes}), no GPU`,
    memory: totalmem(),
    processors: threads,
    clock_rate: 0,
    max_threads_per_processor: 1,
  };
}

/** Nothing is started before the first call. Throws NO_LIBRARY, BAD_ABI; NO_DRIVER and NO_DEVICE come from `devices()`. */
export function openBackend(options: BackendOptions): GravalBackend {
  const { backend, minerLibrary: library, minerLibrarySha256: sha256Hex, environment } = options;
  if (backend === 'cpu') return openCpu(options.cpuDevices ?? [cpuRecord()], options.refc1Sizes);
  if (library !== undefined && backend !== 'cuda') return openVendor({ library, sha256: sha256Hex, environment });
  if (backend === 'vendor')
    throw new GravalError('NO_LIBRARY', 'the vendor backend needs the path of libgraval-miner.so');
  return openNative({ engine: 'cuda' });
}
