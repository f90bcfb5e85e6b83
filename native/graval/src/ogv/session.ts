// One ogv1 session on a native engine, inside its child process: commit, then one audit. The keys are with the parent.

import type { Addon, EngineKind, NativeSession } from '../addon.ts';
import { GravalError, type OgvOpening, type OgvParams, type OgvRow, type Phase } from '../backend.ts';
import type { Key } from './primitives.ts';
import { type AuditPlan, sizesOf, sourceOf, walkKeyOf } from './protocol.ts';

export interface CommitJob {
  engine: EngineKind;
  /** Index of the GPU. */
  index: number;
  /** CPU only: threads (0: all) and instruction set. */
  threads: number;
  lanes: string | undefined;
  params: OgvParams;
  key: Key;
  sigma: Uint8Array;
}

export interface CommitResult {
  rootFill: Uint8Array;
  rootWalk: Uint8Array;
  phaseMs: Partial<Record<Phase, number>>;
}

type Report = (phase: Phase, done: number, total: number) => void;
interface Place {
  t: number;
  i: number;
}

function flat(places: readonly Place[]): Uint32Array {
  return Uint32Array.from(places.flatMap(({ t, i }) => [t, i]));
}

function slice(bytes: Uint8Array, index: number, size: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + index * size, size);
}

/** Opens rows, each read and each path computed once however often it is asked for. */
async function openRows(native: NativeSession, n: number, places: readonly Place[]): Promise<(place: Place) => OgvRow> {
  const unique = [...new Map(places.map((place) => [`${place.t}/${place.i}`, place])).values()];
  const list = flat(unique);
  const rows = await native.rows(list);
  const paths = await native.paths(list);
  const size = paths.length / Math.max(1, unique.length);
  const opened = new Map(
    unique.map(({ t, i }, at) => {
      const row = slice(rows, at, n).toString('base64');
      return [`${t}/${i}`, { t, i, row, path: slice(paths, at, size).toString('base64') }];
    }),
  );
  return (place) => opened.get(`${place.t}/${place.i}`) as OgvRow;
}

export function ogvSession(addon: Addon) {
  let native: NativeSession | undefined;
  let params: OgvParams | undefined;

  function current(): { native: NativeSession; params: OgvParams } {
    if (!native || !params) throw new GravalError('BAD_INPUT', 'there is no session');
    return { native, params };
  }

  /** Rows of the tile before, and which rows they name. */
  async function sourcesOf(places: readonly Place[]): Promise<(Place & { prev: Place; src: Place })[]> {
    const open = current();
    const before = places.map(({ t, i }) => ({ t: t - 1, i }));
    const rows = await open.native.rows(flat(before));
    return places.map((place, at) => {
      const src = sourceOf(slice(rows, at, open.params.n), place.t, open.params.m);
      return { ...place, prev: before[at] as Place, src };
    });
  }

  return {
    async commit(job: CommitJob, report: Report): Promise<CommitResult> {
      native?.free();
      params = job.params;
      native = new addon.OgvSession(job.engine, job.index, job.threads, job.lanes, sizesOf(params), ...job.key);
      const phaseMs: CommitResult['phaseMs'] = {};
      let last: { phase: Phase; at: number } = { phase: 'alloc', at: performance.now() };
      const note: Report = (phase, done, total) => {
        if (phase !== last.phase) {
          phaseMs[last.phase] = performance.now() - last.at;
          last = { phase, at: performance.now() };
        }
        report(phase, done, total);
      };
      const rootFill = await native.fill(note);
      const { a, b } = walkKeyOf(job.sigma, rootFill);
      const rootWalk = await native.walk(a, b, note);
      phaseMs[last.phase] = performance.now() - last.at;
      return { rootFill, rootWalk, phaseMs };
    },

    async audit(plan: AuditPlan): Promise<OgvOpening> {
      const open = current();
      const derived = await sourcesOf(plan.rows.filter(({ t }) => t > 0));
      const tiles = [];
      for (const { t, rows } of plan.tiles) {
        tiles.push({
          t,
          rows: await sourcesOf(rows.map((i) => ({ t, i }))),
          sums: await open.native.sums(t, Uint32Array.from(rows)),
        });
      }
      const walks = [];
      for (const { w, seg } of plan.walks) {
        const steps = await open.native.steps(w, seg);
        const places = Array.from({ length: steps.length / 2 }, (_, k) => ({
          t: steps[2 * k] as number,
          i: steps[2 * k + 1] as number,
        }));
        walks.push({ w, seg, places });
      }
      const linked = [...derived, ...tiles.flatMap((tile) => tile.rows)];
      const all = [
        ...plan.rows,
        ...linked.flatMap((one) => [one, one.prev, one.src]),
        ...walks.flatMap((walk) => walk.places),
      ];
      const row = await openRows(open.native, open.params.n, all);
      const { n, R } = open.params;
      let next = 0;
      return {
        rows: plan.rows.map((place) => {
          if (place.t === 0) return { x: row(place) };
          const { prev, src } = derived[next++] as (typeof derived)[number];
          return { x: row(place), prev: row(prev), src: row(src) };
        }),
        walks: walks.map(({ w, seg, places }) => ({
          w,
          seg,
          checkpoints: Buffer.from(open.native.checkpoints(w)).toString('base64'),
          path: Buffer.from(open.native.walkPath(w)).toString('base64'),
          rows: places.map(row),
        })),
        tiles: tiles.map(({ t, rows, sums }) => ({
          t,
          rows: rows.map((place, at) => ({
            prev: row(place.prev),
            src: row(place.src),
            x: row(place),
            c: Array.from({ length: R }, (_, r) => slice(sums, at * R + r, 4 * n).toString('base64')),
          })),
        })),
      };
    },

    discard(): void {
      native?.free();
      native = undefined;
    },
  };
}
