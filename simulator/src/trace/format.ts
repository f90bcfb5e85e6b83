// The files of a market trace: shapes only, no meaning. Unknown fields are dropped, because a trace may carry more than a replay reads.
// Reading them from disk, with line numbers in the messages, is read.ts.

import { z } from 'zod';

const seconds = z.number();
const name = z.string().min(1);
const count = z.int().min(0);
const positive = z.number().positive();

const gpuModel = z.object({ vram_gb: positive, compute_multiplier: positive, verify_s: z.number().min(0) });

const server = z.object({
  name,
  server_id: name,
  ip: name,
  validator: name,
  gpu_short_ref: name,
  gpu_count: z.int().min(1),
  gpu_ids: z.array(z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex digits')),
  cpu: positive,
  memory_gb: positive,
  disk_gb: z.number().min(0),
  cache_gb: z.number().min(0),
  cached_models: z.array(name),
  net_mbps: positive,
  disk_read_gbps: positive,
  hourly_cost: z.number().min(0),
  locked: z.boolean(),
  is_tee: z.boolean(),
  join_t: seconds,
  leave_t: seconds.nullable(),
});
export type ServerSpec = z.infer<typeof server>;

export const fleetSchema = z.object({
  format: z.literal(1),
  seed: z.number(),
  hours: positive,
  duration_s: positive,
  start: z.string(),
  miner_hotkey: name,
  validator: name,
  gpus: z.record(name, gpuModel),
  servers: z.array(server),
});
export type Fleet = z.infer<typeof fleetSchema>;

const chute = z.object({
  chute_id: name,
  name: z.string(),
  version: name,
  public: z.boolean(),
  preemptible: z.boolean(),
  tee: z.boolean(),
  cords: z.array(z.unknown()),
  node_selector: z.object({ gpu_count: z.int().min(1).max(64) }),
  supported_gpus: z.array(name),
  chutes_version: z.string().nullable(),
  image: name,
  concurrency: z.number().nullable(),
  max_instances: z.number().nullable(),
  created_at: z.string(),
  em: z.object({ base: z.number().min(0), private: positive, tee: positive }),
  state: z.object({
    version: name,
    target_count: count,
    others_active: count,
    scalable: z.boolean(),
    urgency: positive,
    manual: positive,
    disabled: z.boolean(),
  }),
  initial: z.boolean(),
  sim: z.object({
    model_key: name,
    model_gb: z.number().min(0),
    image_gb: z.number().min(0),
    warmup_s: z.number().min(0),
  }),
});
export type ChuteSpec = z.infer<typeof chute>;
export const chutesSchema = z.array(chute);

const scope = z.strictObject({
  chute_id: name.optional(),
  version: name.optional(),
  server: name.optional(),
  gpu_short_ref: name.optional(),
});

function record<T extends string, S extends z.ZodRawShape>(type: T, shape: S) {
  return z.object({ t: seconds.min(0), type: z.literal(type), ...shape });
}

const instances = { chute_id: name, n: z.int().min(1), miner: z.string() };

export const recordSchema = z.discriminatedUnion('type', [
  record('chute_created', { chute_id: name, version: name }),
  record('chute_updated', { chute_id: name, version: name, old_version: name, rolling_pace_s: z.number().min(0) }),
  record('chute_deleted', { chute_id: name, version: name }),
  record('chute_disabled', { chute_id: name, disabled: z.boolean() }),
  record('bounty_change', { chute_id: name, bounty_id: name, state: z.enum(['open', 'closed']) }),
  record('em_change', { chute_id: name, urgency: positive, manual: positive }),
  record('utilization', { chute_id: name, target_count: count, scalable: z.boolean() }),
  record('instance_activated', { ...instances, bounty_id: name.optional() }),
  record('instance_deleted', instances),
  record('job_created', {
    job_id: name,
    chute_id: name,
    method: z.string(),
    gpu_count: z.int().min(1),
    compute_multiplier: z.number().min(0),
    exclude: z.array(z.string()),
    disk_gb: z.number().min(0).optional(),
    duration_s: z.number().min(0),
    open_until: seconds,
  }),
  record('job_deleted', { job_id: name, why: z.string() }),
  record('thrash_cooldown', { chute_id: name, deleted_at: seconds, cooldown_expires_at: seconds }),
  record('server_join', { server: name }),
  record('server_leave_notice', { server: name, leaving_at: seconds }),
  record('server_leave', { server: name }),
  record('server_down', { server: name, reason: z.string() }),
  record('server_up', { server: name }),
  record('server_unhealthy', { server: name, until: seconds }),
  record('server_lock', { server: name, locked: z.boolean() }),
  record('outage', { until: seconds, mode: z.enum(['error', 'empty']) }),
  record('fault', { scope, until: seconds, fail_after_s: z.number().min(0) }),
]);
export type TraceRecord = z.infer<typeof recordSchema>;
export type RecordOf<T extends TraceRecord['type']> = Extract<TraceRecord, { type: T }>;

export interface Trace {
  fleet: Fleet;
  chutes: ChuteSpec[];
  /** Ordered by `t`; equal times keep the order of the file. */
  records: TraceRecord[];
}
