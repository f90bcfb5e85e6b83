// The GPUs that containers of the test node have, as a file of their image: no driver is here that could show them.

import { readFileSync } from 'node:fs';
import { devicesOf, type SimulatedDevice } from '@miner/simulator/cluster/devices.ts';
import type { ProofSizes } from '@miner/simulator/refc1.ts';

export interface Gpus {
  devices: SimulatedDevice[];
  proofSizes: ProofSizes;
}

export const gpuShortRef = 'l40s';
export const gpuIds: readonly string[] = ['a'.repeat(32)];
export const gpus: Gpus = { devices: devicesOf(gpuShortRef, gpuIds), proofSizes: { n: 64, num: 1 } };

/** In a container. */
export function readGpus(): Gpus {
  return JSON.parse(readFileSync('/etc/gpus.json', 'utf8')) as Gpus;
}
