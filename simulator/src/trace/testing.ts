// Small hand-made traces for tests, with round numbers: a launch that finds nothing cached has its instance after 15 s and is active
// after 115 s; with image and model cached after 7 and 97 s.

import type { ChuteSpec, ServerSpec, Trace, TraceRecord } from './format.ts';
import type { TraceResult } from './market.ts';
import type { Action, Snapshot } from './protocol.ts';
import { createReplay } from './replay.ts';
import type { Market } from './state.ts';

export const hotkey = 'own-hotkey';
export const validator = 'validator';

type Override<T> = { [K in keyof T]?: T[K] extends unknown[] ? T[K] : T[K] extends object ? Partial<T[K]> : T[K] };

/** 8 free h100 GPUs: 1 GB/s download of images, 0.8 GB/s of models, 0.8 GB/s from disk, 60 s proof, 1 USD per GPU and hour. */
export function server(name: string, changes: Partial<ServerSpec> = {}): ServerSpec {
  const count = changes.gpu_count ?? 8;
  return {
    name,
    server_id: name,
    ip: '192.0.2.1',
    validator,
    gpu_short_ref: 'h100',
    gpu_count: count,
    gpu_ids: Array.from({ length: count }, (_, i) => `${name}-${i}`),
    cpu: 64,
    memory_gb: 512,
    disk_gb: 1000,
    cache_gb: 100,
    cached_models: [],
    net_mbps: 8000,
    disk_read_gbps: 0.8,
    hourly_cost: 1,
    locked: false,
    is_tee: false,
    join_t: 0,
    leave_t: null,
    ...changes,
  };
}

/** Public, one h100 GPU, multiplier 1, wanted 10 times: 10 GB image, 8 GB model, 20 s warm-up. */
export function chute(id: string, changes: Override<ChuteSpec> = {}): ChuteSpec {
  const { em, state, sim, node_selector, ...rest } = changes;
  return {
    chute_id: id,
    name: id,
    version: 'v1',
    public: true,
    preemptible: rest.public ?? true,
    tee: false,
    cords: ['chat'],
    supported_gpus: ['h100'],
    chutes_version: '0.6.0',
    image: `image-${id}`,
    concurrency: 1,
    max_instances: null,
    created_at: '2026-01-01T00:00:00Z',
    initial: true,
    ...rest,
    node_selector: { gpu_count: 1, ...node_selector },
    em: { base: 1, private: 1, tee: 1, ...em },
    state: {
      version: 'v1',
      target_count: 10,
      others_active: 0,
      scalable: true,
      urgency: 1,
      manual: 1,
      disabled: false,
      ...state,
    },
    sim: { model_key: `model-${id}`, model_gb: 8, image_gb: 10, warmup_s: 20, ...sim },
  };
}

export interface TraceParts {
  servers?: ServerSpec[];
  chutes?: ChuteSpec[];
  records?: TraceRecord[];
  duration?: number;
}

export function makeTrace({
  servers = [server('s')],
  chutes = [chute('c')],
  records = [],
  duration = 36000,
}: TraceParts): Trace {
  return {
    fleet: {
      format: 1,
      seed: 1,
      hours: duration / 3600,
      duration_s: duration,
      start: '2026-01-01T00:00:00Z',
      miner_hotkey: hotkey,
      validator,
      gpus: {
        h100: { vram_gb: 80, compute_multiplier: 1, verify_s: 60 },
        a6000: { vram_gb: 48, compute_multiplier: 0.5, verify_s: 140 },
      },
      servers,
    },
    chutes,
    records: [...records].sort((a, b) => a.t - b.t),
  };
}

export type Script = Record<number, readonly unknown[] | ((snapshot: Snapshot) => unknown)>;

export interface Drive {
  result: TraceResult;
  market: Readonly<Market>;
  snapshots: Snapshot[];
  /** The snapshot of a tick; throws when none was sent. */
  at(tick: number): Snapshot;
  /** Types of the events told at all ticks, as `type` or `type:reason`. */
  told: string[];
}

/** Plays a trace with actions at given ticks. An outage of no length makes sure that those ticks, and `look`, are sent. */
export function drive(parts: TraceParts, script: Script, look: readonly number[] = []): Drive {
  const ticks = [...Object.keys(script).map(Number), ...look];
  const wake = ticks.map((t): TraceRecord => ({ t, type: 'outage', until: t, mode: 'empty' }));
  const run = createReplay(makeTrace({ ...parts, records: [...(parts.records ?? []), ...wake] }));
  const snapshots: Snapshot[] = [];
  const told: string[] = [];
  for (let snapshot = run.next(); snapshot; snapshot = run.next()) {
    snapshots.push(snapshot);
    for (const event of snapshot.events) {
      told.push(
        event.type === 'instance_deleted' && 'was_active' in event ? `${event.type}:${event.reason}` : event.type,
      );
    }
    const step = script[snapshot.now];
    run.answer(typeof step === 'function' ? step(snapshot) : (step ?? []));
  }
  const at = (tick: number) => {
    const found = snapshots.find(({ now }) => now === tick);
    if (!found) throw new Error(`no snapshot was sent at ${tick}`);
    return found;
  };
  return { result: run.result(), market: run.market, snapshots, at, told };
}

export function deploy(chuteId: string, on: string, rest: Partial<Extract<Action, { type: 'deploy' }>> = {}): Action {
  return { type: 'deploy', chute_id: chuteId, server: on, ...rest };
}

export function undeploy(id: string): Action {
  return { type: 'undeploy', deployment_id: id, reason: 'test' };
}

export function preempt(victims: string[], chuteId: string, on: string): Action {
  return { type: 'preempt', victims, deploy: { chute_id: chuteId, server: on } };
}

/** Close enough for sums of products of small numbers. */
export function near(found: number, wanted: number, what = 'value'): void {
  const error = Math.abs(found - wanted);
  if (error > 1e-9 * Math.max(1, Math.abs(wanted))) throw new Error(`${what}: found ${found}, wanted ${wanted}`);
}
