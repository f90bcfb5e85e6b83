// An upper bound of what any strategy could score on a trace: a relaxation with perfect foresight, in which nothing takes time to start,
// deployments may be split over servers, and every place that was ever open may be taken by us. Multiplier-hours.

import type { ChuteSpec, Trace, TraceRecord } from './format.ts';
import { bountyBoost, runMultiplier } from './multiplier.ts';

/** Within a slice everything is taken at its best. */
const sliceSeconds = 900;
/** For so long an instance may earn more than its chute pays now (trace format, section 4.3). */
const afterglowSeconds = 28_800;

interface Demand {
  /** Multiplier per GPU. */
  value: number;
  gpus: number;
  kinds: readonly string[];
}

interface ChuteState {
  spec: ChuteSpec;
  live: boolean;
  target: number;
  others: number;
  urgency: number;
  manual: number;
  bountyAt: number | undefined;
  /** Places that were open at any time: an instance may outlive its place. */
  places: number;
  /** Highest multiplier without and with bounty of each slice. */
  run: number[];
  boosted: number[];
}

const kindOf = (tee: boolean, model: string) => `${tee} ${model}`;

function multiplierOf({ spec, urgency, manual }: ChuteState): number {
  return runMultiplier({ ...spec.em, urgency, manual });
}

/** Brings the best of the slice up to date with the state. */
function observe(state: ChuteState, slice: number, now: number): void {
  if (!state.live) return;
  const run = multiplierOf(state);
  const boost = state.bountyAt === undefined ? 1 : bountyBoost(now - state.bountyAt);
  state.run[slice] = Math.max(state.run[slice] ?? 0, run);
  if (boost > 1) state.boosted[slice] = Math.max(state.boosted[slice] ?? 0, run * boost);
  state.places = Math.max(state.places, state.target - state.others);
}

function apply(state: ChuteState, record: TraceRecord): void {
  switch (record.type) {
    case 'chute_created':
      state.live = true;
      return;
    case 'chute_deleted':
      state.live = false;
      state.bountyAt = undefined;
      return;
    case 'bounty_change':
      state.bountyAt = record.state === 'open' ? record.t : undefined;
      return;
    case 'em_change':
      state.urgency = record.urgency;
      state.manual = record.manual;
      return;
    case 'utilization':
      state.target = record.target_count;
      return;
    case 'instance_activated':
      // Those that came for a bounty may not have come if we took it.
      if (record.bounty_id === undefined) state.others += record.n;
      return;
    case 'instance_deleted':
      state.others = Math.max(0, state.others - record.n);
  }
}

/** Most multiplier per hour: the best demand first, moved between kinds as long as that makes room (a maximum flow, so exact). */
export function bestRate(demands: readonly Demand[], supply: ReadonlyMap<string, number>): number {
  const free = new Map(supply);
  const used = new Map<string, { demand: Demand; gpus: number }[]>();
  let rate = 0;

  /** Frees up to `want` GPUs of the kind by moving others on; returns how many. */
  function makeRoom(kind: string, want: number, seen: Set<string>): number {
    const there = Math.min(want, free.get(kind) ?? 0);
    if (there > 0) {
      free.set(kind, (free.get(kind) ?? 0) - there);
      return there;
    }
    seen.add(kind);
    for (const use of used.get(kind) ?? []) {
      if (use.gpus <= 0) continue;
      for (const other of use.demand.kinds) {
        if (seen.has(other)) continue;
        const moved = makeRoom(other, Math.min(want, use.gpus), seen);
        if (moved <= 0) continue;
        use.gpus -= moved;
        place(use.demand, other, moved);
        return moved;
      }
    }
    return 0;
  }

  function place(demand: Demand, kind: string, gpus: number): void {
    const uses = used.get(kind) ?? [];
    const same = uses.find((use) => use.demand === demand);
    if (same) same.gpus += gpus;
    else uses.push({ demand, gpus });
    used.set(kind, uses);
  }

  for (const demand of [...demands].sort((a, b) => b.value - a.value)) {
    let want = demand.gpus;
    const seen = new Set<string>();
    for (let i = 0; i < demand.kinds.length && want > 0; ) {
      const kind = demand.kinds[i] ?? '';
      const got = supply.has(kind) && !seen.has(kind) ? makeRoom(kind, want, seen) : 0;
      if (got <= 0) {
        i++;
        continue;
      }
      // What moved may open other ways.
      seen.clear();
      place(demand, kind, got);
      rate += got * demand.value;
      want -= got;
    }
  }
  return rate;
}

/** GPUs by kind that could work at some time of the slice. */
function supplyAt({ fleet }: Trace, from: number, to: number): Map<string, number> {
  const supply = new Map<string, number>();
  for (const { join_t, leave_t, is_tee, gpu_short_ref, gpu_count, validator } of fleet.servers) {
    if (validator !== fleet.validator || join_t >= to || (leave_t ?? to) <= from) continue;
    const kind = kindOf(is_tee, gpu_short_ref);
    supply.set(kind, (supply.get(kind) ?? 0) + gpu_count);
  }
  return supply;
}

/** Multiplier-hours that no strategy can exceed. */
export function upperBound(trace: Trace): number {
  const { fleet, chutes, records } = trace;
  const slices = Math.ceil(fleet.duration_s / sliceSeconds);
  const states = new Map<string, ChuteState>();
  for (const spec of chutes) {
    const { target_count: target, others_active: others, urgency, manual } = spec.state;
    const live = spec.initial;
    const start = { target, others, urgency, manual, live, bountyAt: undefined, places: 0, run: [], boosted: [] };
    states.set(spec.chute_id, { spec, ...start });
  }
  const jobs = records.filter((record) => record.type === 'job_created');
  const places: Map<string, number>[] = [];
  let next = 0;
  for (let slice = 0; slice < slices; slice++) {
    const from = slice * sliceSeconds;
    const to = Math.min(fleet.duration_s, from + sliceSeconds);
    for (const state of states.values()) observe(state, slice, from);
    for (; (records[next]?.t ?? Number.POSITIVE_INFINITY) < to; next++) {
      const record = records[next];
      const state = record && 'chute_id' in record ? states.get(record.chute_id) : undefined;
      if (!record || !state) continue;
      observe(state, slice, record.t);
      apply(state, record);
      observe(state, slice, record.t);
    }
    for (const state of states.values()) observe(state, slice, to);
    places.push(new Map([...states].map(([chuteId, state]) => [chuteId, state.places])));
  }
  const glow = afterglowSeconds / sliceSeconds;
  let bound = 0;
  for (let slice = 0; slice < slices; slice++) {
    const from = slice * sliceSeconds;
    const to = Math.min(fleet.duration_s, from + sliceSeconds);
    const demands: Demand[] = [];
    for (const [chuteId, { spec, run, boosted }] of states) {
      if (run[slice] === undefined || spec.cords.length === 0) continue;
      const gpus = spec.node_selector.gpu_count;
      const kinds = spec.supported_gpus.map((model) => kindOf(spec.tee, model));
      let best = 0;
      let bonus = 0;
      let bounties = 0;
      for (let back = Math.max(0, slice - glow); back <= slice; back++) {
        best = Math.max(best, run[back] ?? 0);
        if (boosted[back] === undefined) continue;
        bonus = Math.max(bonus, boosted[back] ?? 0);
        bounties++;
      }
      const count = places[slice]?.get(chuteId) ?? 0;
      const rich = Math.min(count, bounties);
      if (rich > 0) demands.push({ value: bonus / gpus, gpus: rich * gpus, kinds });
      if (count > rich) demands.push({ value: best / gpus, gpus: (count - rich) * gpus, kinds });
    }
    for (const job of jobs) {
      const spec = states.get(job.chute_id)?.spec;
      if (!spec || job.t >= to || job.open_until + job.duration_s + afterglowSeconds <= from) continue;
      if (job.t + job.duration_s + (job.open_until - job.t) + 7200 <= from) continue;
      const kinds = spec.supported_gpus.map((model) => kindOf(spec.tee, model));
      demands.push({ value: job.compute_multiplier / job.gpu_count, gpus: job.gpu_count, kinds });
    }
    bound += (bestRate(demands, supplyAt(trace, from, to)) * (to - from)) / 3600;
  }
  return bound;
}
