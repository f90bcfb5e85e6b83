// The CPU as a whole: ogv1 on the addon's engine, and refc1 for whoever speaks the vendor's protocol.

import type { DeviceInfo, GravalBackend } from '../backend.ts';
import { openNative } from '../native.ts';
import { startWorker } from '../process/worker.ts';
import { defaultSizes, type Refc1Sizes, refc1Prover } from './prover.ts';

/** `devices`: records that the CPU stands in for. */
export function openCpu(devices: readonly DeviceInfo[], sizes: Refc1Sizes = defaultSizes): GravalBackend {
  const native = openNative({ engine: 'cpu', devices });
  const worker = startWorker();
  return {
    ...native,
    prover: refc1Prover(devices, worker, sizes),
    async close() {
      await Promise.all([native.close(), worker.close()]);
    },
  };
}
