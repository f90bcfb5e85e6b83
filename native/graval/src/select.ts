// Which backend proves the GPUs of this machine (graval.md 6.2).

import { type GravalBackend, GravalError } from './backend.ts';

export interface BackendOptions {
  /** `auto`: the vendor's library when its path is set, else CUDA; never the CPU, which is for tests. */
  backend: 'auto' | 'vendor' | 'cuda' | 'cpu';
  /** Path of libgraval-miner.so; required for `vendor`. */
  minerLibrary?: string | undefined;
}

/** Nothing is started before the first `devices()`. Throws NO_LIBRARY, NO_DRIVER. */
export function openBackend(options: BackendOptions): GravalBackend {
  throw new GravalError('INTERNAL', `the backend ${options.backend} is not built`);
}
