// How much CPU and memory one GPU of a server stands for, fixed when the server is added (kubernetes.md 3.3).

import { MinerError } from './errors.ts';

const unitsPerGiB: Record<string, number> = { Ki: 1024 * 1024, Mi: 1024, Gi: 1, Ti: 1 / 1024 };

/** A Kubernetes memory quantity in whole GiB, rounded down. Plain numbers are bytes. */
export function quantityToGiB(quantity: string): number {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti)?$/.exec(quantity);
  if (!match) throw new MinerError('E-NODE', `memory quantity "${quantity}" is not a number with Ki, Mi, Gi or Ti`);
  const value = Number(match[1]);
  const perGiB = match[2] ? unitsPerGiB[match[2]] : 1024 ** 3;
  return Math.floor(value / (perGiB ?? 1));
}

export interface NodeCapacity {
  cpus: number;
  memoryGiB: number;
  gpus: number;
  /** VRAM of one GPU in MiB: the node label `nvidia.com/gpu.memory`. */
  gpuMemoryMiB: number;
}

export interface Sizing {
  cpuPerGpu: number;
  /** GiB of RAM for each GPU. */
  memoryPerGpu: number;
}

/** Two CPUs and 6 GiB stay with the system; a fifth of the rest of the RAM stays free. */
export function sizeServer(node: NodeCapacity): Sizing {
  const vram = Math.floor(node.gpuMemoryMiB / 1024);
  if (vram < 1) throw new MinerError('E-NODE', 'label nvidia.com/gpu.memory is missing or below 1024 MiB');
  const cpus = node.cpus - 2;
  const memory = node.memoryGiB - 6;
  return {
    cpuPerGpu: cpus <= node.gpus ? 1 : Math.min(4, Math.floor(cpus / node.gpus)),
    memoryPerGpu: memory <= node.gpus ? 1 : Math.min(vram, Math.floor((memory * 0.8) / node.gpus)),
  };
}

/** Firmware and kernel take a part of the RAM that was bought. */
const ramShare = 0.95;

/** The network wants as much RAM as VRAM: models are loaded through it (operations.md 1). Throws E-NODE. */
export function demandRam({ memoryGiB, gpus, gpuMemoryMiB }: NodeCapacity): void {
  const vramGiB = Math.floor((gpus * gpuMemoryMiB) / 1024);
  if (memoryGiB >= vramGiB * ramShare) return;
  throw new MinerError('E-NODE', `the node has ${memoryGiB} GiB of RAM for ${vramGiB} GiB of VRAM; it needs as much`);
}
