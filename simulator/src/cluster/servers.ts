// GPU servers of the simulated fleet, their GPUs, and how long a launch takes on them. Same seed and name, same server.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { vramBytes } from './devices.ts';

export interface SimulatedServer {
  /** Node, kubeconfig context and folder in git. */
  name: string;
  gpuShortRef: string;
  gpuCount: number;
  /** 32 hex digits each, in index order; as many as `gpuCount`. */
  gpuIds: readonly string[];
  /** Loopback address of its own. */
  ip: string;
  cpus: number;
  memoryGiB: number;
  diskGb: number;
  /** Megabit per second. */
  netMbps: number;
  /** GB per second. */
  diskReadGbps: number;
  /** Room for model weights, GB. */
  cacheGb: number;
  /** USD per GPU and hour. */
  hourlyCost: number;
}

function hash(...parts: (string | number)[]): Buffer {
  return createHash('sha256').update(parts.join('\0')).digest();
}

/** GPU ids of a server: 32 hex digits each, the same for the same seed and name. */
export function gpuIdsOf(seed: number, name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => hash('gpu', seed, name, i).toString('hex', 0, 16));
}

/** Address number `index` (from 0) under `base` (`127.a.b`): 127.a.b.1-200, then 127.a.(b+1).1-200, and so on. */
export function addressOf(base: string, index: number): string {
  const [a = 127, b = 0, c = 0] = base.split('.').map(Number);
  const third = c + Math.floor(index / 200);
  return `${a}.${b + Math.floor(third / 256)}.${third % 256}.${1 + (index % 200)}`;
}

const priceFile = z.object({
  gpus: z.record(z.string(), z.object({ usd_per_hour_low: z.number(), usd_per_hour_high: z.number() })),
});

// The first three make a small mixed fleet of 20 GPUs; later servers go round all of them.
const models: [ref: string, gpuCount: number][] = [
  ['4090', 8],
  ['h100_sxm', 8],
  ['a6000', 4],
  ['l40s', 4],
  ['a100_sxm', 8],
  ['3090', 8],
  ['h200', 8],
  ['5090', 4],
  ['pro_6000', 4],
  ['a5000', 8],
  ['a40', 8],
  ['l4', 4],
  ['h100', 4],
  ['a100', 4],
  ['b200', 8],
];

function pick<T>(items: readonly [T, ...T[]], random: number): T {
  return items[Math.floor(random * items.length)] ?? items[0];
}

/** `n` varied servers `gpu-001-4090`, `gpu-002-h100-sxm`, … at addresses under `base` (three octets, `127.a.b`). */
export function makeServers(n: number, seed: number, base = '127.77.0'): SimulatedServer[] {
  const prices = priceFile.parse(
    JSON.parse(readFileSync(new URL('../../data/gpu-prices.json', import.meta.url), 'utf8')),
  ).gpus;
  return Array.from({ length: n }, (_, index) => {
    const [gpuShortRef, gpuCount] = models[index % models.length] ?? ['4090', 8];
    const name = `gpu-${String(index + 1).padStart(3, '0')}-${gpuShortRef.replaceAll('_', '-')}`;
    const draw = (what: string) => hash(what, seed, name).readUInt32BE() / 2 ** 32;
    const price = prices[gpuShortRef] ?? { usd_per_hour_low: 0.5, usd_per_hour_high: 1 };
    const vramGiB = Math.ceil(vramBytes(gpuShortRef) / 1024 ** 3);
    const diskGb = pick([2000, 4000, 8000], draw('disk'));
    return {
      name,
      gpuShortRef,
      gpuCount,
      gpuIds: gpuIdsOf(seed, name, gpuCount),
      ip: addressOf(base, index),
      cpus: gpuCount * pick([8, 12, 16, 24], draw('cpus')),
      memoryGiB: 64 * Math.ceil((gpuCount * vramGiB * pick([1.3, 1.5, 2], draw('memory'))) / 64),
      diskGb,
      netMbps: pick([2000, 5000, 10000], draw('net')),
      diskReadGbps: pick([2, 3, 5, 7], draw('read')),
      cacheGb: diskGb / 2,
      hourlyCost:
        Math.round(100 * (price.usd_per_hour_low + draw('cost') * (price.usd_per_hour_high - price.usd_per_hour_low))) /
        100,
    };
  });
}
