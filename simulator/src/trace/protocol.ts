// What a strategy sees and answers (trace format, section 5). Field names are those of the line protocol, so that a strategy in this
// process and one behind a pipe read the same. Snapshots are read-only; what did not change is the same object as in the snapshot before.

import { z } from 'zod';
import type { RecordOf, ServerSpec } from './format.ts';
import type { Factors } from './multiplier.ts';

export interface DeploymentView {
  readonly deployment_id: string;
  readonly chute_id: string;
  readonly version: string;
  readonly gpu_ids: readonly string[];
  readonly state: 'pending' | 'active';
  /** The tick of the launch. */
  readonly created_at: number;
  readonly instance_created_at: number | null;
  /** Without faults and outages. */
  readonly expected_active_at: number;
  readonly activated_at: number | null;
  /** Null before activation. */
  readonly compute_multiplier: number | null;
  readonly initial_multiplier: number | null;
  readonly preemptible: boolean;
  readonly job_id: string | null;
  readonly disk_gb: number;
}

type FixedServerFields = Omit<ServerSpec, 'gpu_ids' | 'cached_models' | 'locked' | 'join_t' | 'leave_t'>;

export interface ServerView extends Readonly<FixedServerFields> {
  readonly locked: boolean;
  readonly status: 'ready' | 'unhealthy' | 'down';
  readonly leaving_at: number | null;
  readonly disk_free_gb: number;
  readonly cached_models: readonly string[];
  readonly cached_images: readonly string[];
  readonly free_gpu_ids: readonly string[];
  readonly draining: readonly { readonly gpu_id: string; readonly free_at: number }[];
  readonly deployments: readonly DeploymentView[];
}

export interface ChuteView {
  readonly chute_id: string;
  readonly name: string;
  readonly version: string;
  readonly public: boolean;
  readonly preemptible: boolean;
  readonly tee: boolean;
  readonly disabled: boolean;
  readonly job_only: boolean;
  readonly gpu_count: number;
  readonly supported_gpus: readonly string[];
  readonly chutes_version: string | null;
  readonly image: string;
  readonly concurrency: number | null;
  readonly max_instances: number | null;
  readonly created_at: string;
  /** Of a new instance, bounty included. */
  readonly effective_compute_multiplier: number;
  readonly run_multiplier: number;
  readonly factors: Readonly<Factors>;
  readonly bounty: { readonly amount: number; readonly opened_at: number; readonly boost: number } | null;
  /** A token would not be refused for the target. */
  readonly scalable: boolean;
  readonly target_count: number;
  readonly active_total: number;
  readonly active_own: number;
  readonly active_others: number;
  /** Within 12 h of an update. */
  readonly rolling: boolean;
  readonly model_key: string;
  readonly model_gb: number;
  readonly image_gb: number;
  readonly warmup_s: number;
}

export interface JobView extends Omit<RecordOf<'job_created'>, 't' | 'type' | 'duration_s' | 'open_until'> {
  readonly attempted: boolean;
}

export interface CooldownView {
  readonly chute_id: string;
  readonly deleted_at: number;
  readonly cooldown_expires_at: number;
}

interface OwnInstanceEvent {
  t: number;
  deployment_id: string;
  chute_id: string;
  server: string;
  job_id: string | null;
}

export type VisibleEvent =
  | RecordOf<'bounty_change' | 'chute_created' | 'chute_updated' | 'chute_deleted' | 'job_deleted'>
  | RecordOf<'server_down' | 'server_leave'>
  | Omit<RecordOf<'job_created'>, 'duration_s' | 'open_until'>
  | (OwnInstanceEvent & { type: 'instance_activated' })
  | (OwnInstanceEvent & { type: 'instance_deleted'; reason: string; was_active: boolean });

export interface ActionResult {
  /** Position in the last answer. A deploy that its group made needless has no result. */
  readonly index: number;
  readonly result: 'ok' | 'denied' | 'violation';
  /** Deployment id, token code or violation code. */
  readonly detail: string;
}

export interface Snapshot {
  readonly format: 1;
  /** Tick number: `now` / 15. */
  readonly seq: number;
  readonly now: number;
  readonly end: number;
  readonly miner_hotkey: string;
  readonly validator: string;
  readonly feeds: { readonly status: 'ok' | 'error' | 'empty'; readonly fetched_at: number };
  readonly servers: readonly ServerView[];
  readonly chutes: readonly ChuteView[];
  readonly jobs: readonly JobView[];
  readonly cooldowns: readonly CooldownView[];
  readonly events: readonly VisibleEvent[];
  readonly results: readonly ActionResult[];
}

const deploy = z.object({
  chute_id: z.string(),
  server: z.string(),
  gpu_ids: z.array(z.string()).nullish(),
  job_id: z.string().nullish(),
  group: z.union([z.string(), z.number()]).nullish(),
});
export type DeployAction = z.infer<typeof deploy>;

export const actionSchema = z.discriminatedUnion('type', [
  deploy.extend({ type: z.literal('deploy') }),
  z.object({ type: z.literal('undeploy'), deployment_id: z.string(), reason: z.string().nullish() }),
  z.object({ type: z.literal('preempt'), victims: z.array(z.string()), deploy }),
]);
export type Action = z.infer<typeof actionSchema>;

/** Decides at one tick; keeps what it must remember itself. Asked only when something visible changed or 300 s have passed. */
export interface TraceStrategy {
  act(snapshot: Snapshot): Action[];
}

/** What a strategy module exports: the same seed gives the same decisions. */
export type CreateStrategy = (seed: number) => TraceStrategy;
