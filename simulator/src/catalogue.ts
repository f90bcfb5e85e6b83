// The illustrative catalogue in simulator/data: chutes as a validator streams them, what their start costs (for simulations only), and
// rental prices of GPUs. Nothing in it was read from a live network.

import { readFileSync } from 'node:fs';
import { z } from 'zod';

const feedItem = z.looseObject({
  chute_id: z.string(),
  name: z.string(),
  version: z.string(),
  public: z.boolean(),
  image: z.string(),
  image_id: z.string(),
  ref_str: z.string(),
  chutes_version: z.string(),
  cords: z.array(z.looseObject({})),
  jobs: z.array(
    z.looseObject({
      name: z.string(),
      ports: z.array(z.looseObject({ port: z.int(), proto: z.string() })),
      timeout: z.number(),
      disk_gb: z.number(),
    }),
  ),
  node_selector: z.looseObject({ gpu_count: z.int().min(1).max(8) }),
  supported_gpus: z.array(z.string()),
  tee: z.boolean(),
  preemptible: z.boolean(),
  disabled: z.boolean(),
  compute_multiplier_factors: z.object({
    base: z.number(),
    private: z.number().default(1),
    tee: z.number().default(1),
    urgency: z.number().default(1),
    manual: z.number().default(1),
    bounty: z.number().optional(),
  }),
});
/** One line of `GET /miner/chutes/` (protocol.md 6.1); fields that nothing here reads are passed through. */
export type FeedItem = z.infer<typeof feedItem>;

const startCost = z.object({
  model_key: z.string(),
  model_gb: z.number(),
  image_gb: z.number(),
  warmup_s: z.number(),
});

/** What starting a chute costs: GB to download, seconds to warm up. Chutes with the same `modelKey` share a cache entry. */
export interface StartCost {
  modelKey: string;
  modelGb: number;
  imageGb: number;
  warmupSeconds: number;
}

export interface CatalogueChute {
  item: FeedItem;
  start: StartCost;
}

/** USD per GPU and hour, lowest and highest plausible rental price. */
export interface GpuPrice {
  low: number;
  high: number;
}

export interface Catalogue {
  chutes: ReadonlyMap<string, CatalogueChute>;
  prices: ReadonlyMap<string, GpuPrice>;
}

export interface CatalogueOptions {
  /** Include chutes that need confidential computing. Default false. */
  tee?: boolean;
  /** Keep only the chutes for which this holds. Default: all. */
  keep?: (item: FeedItem) => boolean;
}

const prices = z.object({
  gpus: z.record(z.string(), z.object({ usd_per_hour_low: z.number(), usd_per_hour_high: z.number() })),
});

function read<T>(file: string, shape: z.ZodType<T>): T {
  return shape.parse(JSON.parse(readFileSync(new URL(`../data/${file}`, import.meta.url), 'utf8')));
}

/** Read the three data files. Throws a ZodError when one has another shape than expected. */
export function loadCatalogue({ tee = false, keep = () => true }: CatalogueOptions = {}): Catalogue {
  const starts = read('chute-sim.json', z.record(z.string(), startCost));
  const chutes = new Map<string, CatalogueChute>();
  for (const item of read('chutes.json', z.array(feedItem))) {
    const cost = starts[item.chute_id];
    if (!cost || (item.tee && !tee) || !keep(item)) continue;
    const { model_key: modelKey, model_gb: modelGb, image_gb: imageGb, warmup_s: warmupSeconds } = cost;
    chutes.set(item.chute_id, { item, start: { modelKey, modelGb, imageGb, warmupSeconds } });
  }
  const gpus = Object.entries(read('gpu-prices.json', prices).gpus);
  return {
    chutes,
    prices: new Map(gpus.map(([ref, price]) => [ref, { low: price.usd_per_hour_low, high: price.usd_per_hour_high }])),
  };
}
