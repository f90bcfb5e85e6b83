// How long the steps of a launch take on a server, and what its caches hold (data format: TRACE_FORMAT 4.3, same rules).

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { modelOf } from './devices.ts';
import type { SimulatedServer } from './servers.ts';

export interface ModelSize {
  imageGb: number;
  modelGb: number;
  /** Two chutes with the same key share the downloaded weights. */
  modelKey: string;
  warmupSeconds: number;
}

const sizeFile = z.record(
  z.string(),
  z.object({ model_key: z.string(), model_gb: z.number(), image_gb: z.number(), warmup_s: z.number() }),
);

/** Sizes of the chutes in simulator/data/chute-sim.json; undefined for others. */
export function loadModelSizes(): (chuteId: string) => ModelSize | undefined {
  const raw = sizeFile.parse(JSON.parse(readFileSync(new URL('../../data/chute-sim.json', import.meta.url), 'utf8')));
  const sizes = new Map(
    Object.entries(raw).map(([chuteId, row]) => [
      chuteId,
      { imageGb: row.image_gb, modelGb: row.model_gb, modelKey: row.model_key, warmupSeconds: row.warmup_s },
    ]),
  );
  return (chuteId) => sizes.get(chuteId);
}

/** For a chute nobody gave sizes for: a small language model. */
export function defaultModelSize(chuteId: string): ModelSize {
  return { imageGb: 12, modelGb: 16, modelKey: chuteId, warmupSeconds: 30 };
}

export interface CacheState {
  images: string[];
  models: { key: string; gb: number; lastUsed: number }[];
}

/** Seconds from the pod's creation to the start of its container. */
export function pullSeconds(server: SimulatedServer, cache: CacheState, image: string, size: ModelSize): number {
  return cache.images.includes(image) ? 2 : (size.imageGb * 8000) / server.netMbps;
}

export function downloadSeconds(server: SimulatedServer, cache: CacheState, size: ModelSize): number {
  const cached = cache.models.some(({ key }) => key === size.modelKey);
  return cached ? 0 : (size.modelGb * 8000) / (0.8 * server.netMbps);
}

export function loadSeconds(server: SimulatedServer, size: ModelSize): number {
  return size.modelGb / server.diskReadGbps + size.warmupSeconds;
}

/** Seconds of a GPU proof; TEE chutes attest instead. */
export function verifySeconds(server: SimulatedServer, tee: boolean): number {
  return tee ? 30 : modelOf(server.gpuShortRef).graval.estimateSeconds;
}

/** The cache after `size` was used at `now`: least recently used models that nobody uses go first when the room is short. */
export function useModel(
  cache: CacheState,
  size: ModelSize,
  now: number,
  cacheGb: number,
  inUse: ReadonlySet<string>,
): CacheState {
  const models = cache.models.filter(({ key }) => key !== size.modelKey);
  models.push({ key: size.modelKey, gb: size.modelGb, lastUsed: now });
  models.sort((a, b) => a.lastUsed - b.lastUsed || a.key.localeCompare(b.key));
  let total = models.reduce((sum, { gb }) => sum + gb, 0);
  const kept = models.filter(({ key, gb }) => {
    if (total <= cacheGb || key === size.modelKey || inUse.has(key)) return true;
    total -= gb;
    return false;
  });
  return { images: cache.images, models: kept };
}
