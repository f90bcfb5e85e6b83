// A chute: an app that miners run. Parsed from the validator's feed; unknown fields are dropped, absent ones get the
// defaults of reference/protocol.md trap 10, so that both validator generations are understood.

import { z } from 'zod';
import { isUuid } from './ids.ts';

export interface ChutePort {
  port: number;
  proto: 'TCP' | 'UDP';
}

export interface Chute {
  chuteId: string;
  /** Hotkey (ss58) of the validator whose chute it is. */
  validator: string;
  name: string;
  version: string;
  /** `user/name:tag[-patch]` without a registry host. */
  image: string;
  refStr: string;
  filename: string;
  /** Source file, only for libraries that mount it. */
  code: string | undefined;
  chutesVersion: string | undefined;
  /** Short refs of the GPU models it may run on, sorted. */
  supportedGpus: readonly string[];
  /** GPUs of one deployment, 1-8. */
  gpuCount: number;
  tee: boolean;
  preemptible: boolean;
  disabled: boolean;
  /** No cords: only runs jobs. */
  jobOnly: boolean;
  jobPorts: readonly ChutePort[];
  /** Compute multiplier a new instance would earn now, boosts included. */
  effectiveComputeMultiplier: number;
  /** Amount of the open bounty, 0 for none. */
  bounty: number;
  /** Factors of the multiplier that come and go, as far as the validator tells them apart; not stored. */
  boosts?: { urgency?: number; bounty?: number };
}

const id = z.string().refine(isUuid, 'must be a UUID');

const feedItem = z.object({
  chute_id: id,
  name: z.string().nullish(),
  version: z.string().min(1).max(63),
  image: z.string().regex(/^[a-z0-9._-]+\/[a-z0-9._/-]+:[A-Za-z0-9._-]+$/, 'must look like user/name:tag'),
  ref_str: z.string().regex(/^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+$/, 'must look like module:variable'),
  filename: z
    .string()
    .regex(/^[A-Za-z0-9_.-]+$/)
    .nullish(),
  code: z.string().nullish(),
  chutes_version: z.string().nullish(),
  supported_gpus: z.array(z.string()).default([]),
  node_selector: z.object({ gpu_count: z.int().min(1).max(8) }),
  tee: z.boolean().nullish(),
  preemptible: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
  cords: z.array(z.unknown()).nullish(),
  jobs: z
    .array(z.object({ ports: z.array(z.object({ port: z.int().min(1).max(65535), proto: z.string() })).nullish() }))
    .nullish(),
  effective_compute_multiplier: z.number().nullish(),
  bounty: z.union([z.number(), z.object({ amount: z.number() })]).nullish(),
  compute_multiplier_factors: z.record(z.string(), z.unknown()).nullish(),
});

/** A factor of the multiplier is called with or without `_boost`. */
function boostsOf(factors: Readonly<Record<string, unknown>>): NonNullable<Chute['boosts']> {
  const named = (name: string) => factors[name] ?? factors[`${name}_boost`];
  const [urgency, bounty] = [named('urgency'), named('bounty')];
  return {
    ...(typeof urgency === 'number' && urgency > 0 && { urgency }),
    ...(typeof bounty === 'number' && bounty > 0 && { bounty }),
  };
}

function jobPorts(jobs: z.infer<typeof feedItem>['jobs']): ChutePort[] {
  const ports = new Map<string, ChutePort>();
  for (const { port, proto } of (jobs ?? []).flatMap((job) => job.ports ?? [])) {
    const kind = proto === 'tcp' || proto === 'http' ? 'TCP' : 'UDP';
    ports.set(`${kind}:${port}`, { port, proto: kind });
  }
  return [...ports.values()];
}

/** Read one item of `GET /miner/chutes/` (protocol.md 6.1). Throws a ZodError on what cannot be a chute. */
export function parseChute(item: unknown, validator: string): Chute {
  const raw = feedItem.parse(item);
  return {
    chuteId: raw.chute_id,
    validator,
    name: raw.name ?? raw.chute_id,
    version: raw.version,
    image: raw.image,
    refStr: raw.ref_str,
    filename: raw.filename ?? `${raw.ref_str.split(':')[0]}.py`,
    code: raw.code ?? undefined,
    chutesVersion: raw.chutes_version ?? undefined,
    supportedGpus: [...new Set(raw.supported_gpus)].sort(),
    gpuCount: raw.node_selector.gpu_count,
    tee: raw.tee ?? false,
    preemptible: raw.preemptible ?? true,
    disabled: raw.disabled ?? false,
    jobOnly: (raw.cords ?? []).length === 0,
    jobPorts: jobPorts(raw.jobs),
    effectiveComputeMultiplier: raw.effective_compute_multiplier ?? 1,
    bounty: typeof raw.bounty === 'number' ? raw.bounty : (raw.bounty?.amount ?? 0),
    ...(raw.compute_multiplier_factors && { boosts: boostsOf(raw.compute_multiplier_factors) }),
  };
}
