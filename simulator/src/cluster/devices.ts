// GPU records of the simulated servers, as the bootstrap reports them. Every record passes the validator's checks (graval.md 2.1).

import { gpuTable } from '@miner/controller/domain/gputable.ts';
import type { DeviceInfo } from '@miner/controller/domain/server.ts';

type Architecture = [major: number, minor: number, maxThreads: number];
const ga100: Architecture = [8, 0, 2048];
const ga102: Architecture = [8, 6, 1536];
const ada: Architecture = [8, 9, 1536];
const hopper: Architecture = [9, 0, 2048];
const gb100: Architecture = [10, 0, 2048];
const gb202: Architecture = [12, 0, 1536];

const known: Record<string, [name: string, architecture: Architecture, ecc: boolean]> = {
  3090: ['NVIDIA GeForce RTX 3090', ga102, false],
  4090: ['NVIDIA GeForce RTX 4090', ada, false],
  5090: ['NVIDIA GeForce RTX 5090', gb202, false],
  a4000: ['NVIDIA RTX A4000', ga102, false],
  a4000_ada: ['NVIDIA RTX 4000 Ada Generation', ada, false],
  a5000: ['NVIDIA RTX A5000', ga102, false],
  a6000: ['NVIDIA RTX A6000', ga102, false],
  a6000_ada: ['NVIDIA RTX 6000 Ada Generation', ada, false],
  pro_6000: ['NVIDIA RTX PRO 6000 Blackwell Server Edition', gb202, true],
  l4: ['NVIDIA L4', ada, true],
  a10: ['NVIDIA A10', ga102, true],
  a40: ['NVIDIA A40', ga102, true],
  l40: ['NVIDIA L40', ada, true],
  l40s: ['NVIDIA L40S', ada, true],
  a100_40gb: ['NVIDIA A100-PCIE-40GB', ga100, true],
  a100_40gb_sxm: ['NVIDIA A100-SXM4-40GB', ga100, true],
  a100: ['NVIDIA A100 80GB PCIe', ga100, true],
  a100_sxm: ['NVIDIA A100-SXM4-80GB', ga100, true],
  h100: ['NVIDIA H100 PCIe', hopper, true],
  h100_nvl: ['NVIDIA H100 NVL', hopper, true],
  h100_sxm: ['NVIDIA H100 80GB HBM3', hopper, true],
  h800: ['NVIDIA H800 PCIe', hopper, true],
  h20: ['NVIDIA H20', hopper, true],
  h200: ['NVIDIA H200', hopper, true],
  mi300x: ['gfx942:sramecc+:xnack-', [9, 4, 2048], true],
  b200: ['NVIDIA B200', gb100, true],
};

export function modelOf(shortRef: string) {
  const model = gpuTable.find(({ ref }) => ref === shortRef);
  if (!model) throw new Error(`no GPU model "${shortRef}"; known: ${gpuTable.map(({ ref }) => ref).join(' ')}`);
  return model;
}

/** VRAM of one GPU in bytes: a driver shows about 1 % less than the nominal GiB. */
export function vramBytes(shortRef: string): number {
  return Math.floor(modelOf(shortRef).vramGb * 1024 * 0.9899) * 1024 ** 2;
}

/** The name a driver gives the model. */
export function deviceName(shortRef: string): string {
  return known[shortRef]?.[0] ?? `NVIDIA ${shortRef}`;
}

export type SimulatedDevice = Required<DeviceInfo>;

/** One record per GPU id, all of the model `shortRef`. */
export function devicesOf(shortRef: string, gpuIds: readonly string[]): SimulatedDevice[] {
  const model = modelOf(shortRef);
  const [name, [major, minor, threads], ecc] = known[shortRef] ?? [deviceName(shortRef), ada, false];
  return gpuIds.map((uuid) => ({
    uuid,
    name,
    memory: vramBytes(shortRef),
    major,
    minor,
    processors: model.processors,
    sxm: /_sxm$|^b200$|^h200$/.test(shortRef),
    clock_rate: model.clockBoost * 1000,
    max_threads_per_processor: threads,
    concurrent_kernels: true,
    ecc,
  }));
}
