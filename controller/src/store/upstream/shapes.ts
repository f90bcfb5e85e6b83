// The rows of upstream's tables as this program needs them (protocol.md 8). Columns it has no use for are dropped; those that a
// database of an earlier time lacks get the default of the program that made it.

import { z } from 'zod';
import { isGpuId, isUuid } from '../../domain/ids.ts';

const text = z.string().min(1);
const uuid = z.string().refine(isUuid, 'must be a UUID');
const gpuId = z.string().refine(isGpuId, 'must be 32 hex digits');
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
/** Milliseconds. Columns without time zone hold UTC, as the program that wrote them ran in UTC. */
const time = z
  .string()
  .transform((written) => Date.parse(/[+\-Z]/.test(written.slice(10)) ? written : `${written}Z`))
  .refine((ms) => Number.isFinite(ms), 'must be a time');
/** JSON has one kind of number; flags of devices come as either. */
const bit = z.union([z.boolean(), z.literal(0), z.literal(1)]).transform(Boolean);

export const serverRow = z.object({
  server_id: text,
  name: text,
  validator: text,
  ip_address: text.nullish(),
  agent_api: text.nullish(),
  verification_port: z.int().min(1).max(65535).nullish(),
  created_at: time.nullish(),
  labels: z.record(z.string(), z.unknown()).nullish(),
  seed: z
    .union([z.int(), z.bigint()])
    .transform(BigInt)
    .refine((seed) => seed >= 0n, 'must not be negative')
    .nullish(),
  gpu_count: z.int(),
  cpu_per_gpu: z.int().min(1),
  memory_per_gpu: z.int().min(1),
  hourly_cost: z.number(),
  locked: flag,
  is_tee: flag,
});

export const gpuRow = z.object({
  gpu_id: gpuId,
  server_id: text,
  deployment_id: text.nullish(),
  model_short_ref: text,
  verified: flag,
  device_info: z.object({
    uuid: text.optional(),
    name: text,
    memory: z.number().positive(),
    clock_rate: z.number().positive(),
    major: z.number().nullish(),
    minor: z.number().nullish(),
    processors: z.number().nullish(),
    sxm: bit.nullish(),
    max_threads_per_processor: z.number().nullish(),
    concurrent_kernels: bit.nullish(),
    ecc: bit.nullish(),
  }),
});

export const chuteRow = z.looseObject({
  chute_id: uuid,
  validator: text,
  ban_reason: z.string().nullish(),
  gpu_count: z.int().min(1).max(8),
});

export const deploymentRow = z.object({
  deployment_id: uuid,
  chute_id: uuid,
  server_id: text,
  validator: text,
  version: text,
  config_id: text.nullish(),
  instance_id: text.nullish(),
  job_id: text.nullish(),
  port: z.int().min(1).max(65535).nullish(),
  stub: flag,
  active: flag,
  created_at: time.nullish(),
  verified_at: time.nullish(),
  activated_at: time.nullish(),
});

export const auditRow = z.object({
  deployment_id: text,
  validator: text,
  chute_id: text,
  version: text,
  instance_id: text.nullish(),
  created_at: time,
  verified_at: time.nullish(),
  deleted_at: time.nullish(),
});

export type ServerRow = z.infer<typeof serverRow>;
export type GpuRow = z.infer<typeof gpuRow>;
export type DeploymentRow = z.infer<typeof deploymentRow>;
