// The validator's side of ogv1: does an opening answer exactly what was asked, and does every answer follow from the challenge?
// Costs the validator a few rows of each product, never the work itself.

import { randomBytes } from 'node:crypto';
import type { DeviceInfo, OgvChallenge, OgvCommit, OgvOpening, OgvParams, OgvQueries, OgvRow } from '../backend.ts';
import { type OgvMath, prime } from './math.ts';
import { advance, hexBytes, type Key, mix64, placeOf, prf, rootOf, sha256, u32 } from './primitives.ts';
import { commitOf, contextOf, planOf, sourceOf, transcriptOf, walkKeyOf } from './protocol.ts';

/** What the validator keeps of one session. `transcript` is what a release is sealed to. */
export interface VerifiedSession {
  transcript: Uint8Array;
  pkM: Uint8Array;
}

export type Verdict = { ok: true; session: VerifiedSession } | { ok: false; reason: string };

/** Why an opening is refused, as a sentence. */
class Refused extends Error {}

function refuseUnless(held: boolean, reason: string): asserts held {
  if (!held) throw new Refused(reason);
}

interface Checker {
  params: OgvParams;
  key: Key;
  math: OgvMath;
  /** Of each product of a tile, the columns to compute anew; undefined: all, by two random vectors. */
  columns: number | undefined;
  /** The rows that were sent, each once, and whether its path leads to the committed root. */
  opened: Map<string, { sent: string; row: Buffer; committed: boolean }>;
}

function levels(count: number): number {
  return Math.ceil(Math.log2(count));
}

function pathSize({ m, N }: OgvParams): number {
  return 32 * (levels(m) + levels(N));
}

/** Follows the paths of all rows at once, which is many times faster than one by one. What has a wrong shape is left to `open`. */
function openAll(
  math: OgvMath,
  params: OgvParams,
  rootFill: Buffer,
  sent: Iterable<OgvRow | undefined>,
): Checker['opened'] {
  const { n, m, N } = params;
  const found = new Map<string, { t: number; i: number; sent: string; row: Buffer; path: Buffer }>();
  for (const one of sent) {
    if (!one || one.t >= N || one.i >= m || found.has(`${one.t}/${one.i}`)) continue;
    const [row, path] = [Buffer.from(one.row, 'base64'), Buffer.from(one.path, 'base64')];
    if (row.length === n && path.length === pathSize(params))
      found.set(`${one.t}/${one.i}`, { t: one.t, i: one.i, sent: one.row, row, path });
  }
  const all = [...found.values()];
  if (all.length === 0) return new Map();
  const places = Uint32Array.from(all.flatMap(({ t, i }) => [t, i]));
  const [rows, paths] = [all.map(({ row }) => row), all.map(({ path }) => path)];
  const roots = math.roots(params, places, Buffer.concat(rows), Buffer.concat(paths));
  return new Map(
    [...found].map(([name, { sent, row }], at) => [
      name,
      { sent, row, committed: rootFill.equals(roots.subarray(32 * at, 32 * at + 32)) },
    ]),
  );
}

/** The bytes of a row that was asked for, once its path leads to the committed root. */
function open({ params, opened }: Checker, sent: OgvRow | undefined, t: number, i: number): Buffer {
  refuseUnless(sent?.t === t && sent.i === i, `row ${i} of tile ${t} was asked for and not sent`);
  const known = opened.get(`${t}/${i}`);
  if (known?.sent !== sent.row) {
    refuseUnless(Buffer.byteLength(sent.row, 'base64') === params.n, `row ${i} of tile ${t} has not n bytes`);
    refuseUnless(known !== undefined, `the path of row ${i} of tile ${t} has a wrong length`);
    throw new Refused(`row ${i} of tile ${t} was sent in two versions`);
  }
  refuseUnless(known.committed, `row ${i} of tile ${t} is not what was committed`);
  return known.row;
}

function xor(a: Uint8Array, b: Uint8Array): Buffer {
  const out = Buffer.from(a);
  for (let at = 0; at < out.length; at++) out[at] = (a[at] as number) ^ (b[at] as number);
  return out;
}

function checkRow(
  checker: Checker,
  asked: { t: number; i: number },
  sent: OgvOpening['rows'][number] | undefined,
): void {
  const { params, key, math } = checker;
  const { t, i } = asked;
  const x = open(checker, sent?.x, t, i);
  if (t === 0) {
    const first = Buffer.from(prf(1, 0, key, i * params.n, params.n));
    refuseUnless(first.equals(x), `row ${i} of the first tile is not the challenge's`);
    return;
  }
  const prev = open(checker, sent?.prev, t - 1, i);
  const from = sourceOf(prev, t, params.m);
  const src = open(checker, sent?.src, from.t, from.i);
  refuseUnless(xor(math.rowOf(params, key, t, prev), src).equals(x), `row ${i} of tile ${t} was not computed`);
}

function checkWalk(
  checker: Checker,
  start: { a: bigint; b: bigint; rootWalk: Buffer },
  asked: { w: number; seg: number },
  sent: OgvOpening['walks'][number] | undefined,
): void {
  const { params } = checker;
  const { w, seg } = asked;
  refuseUnless(sent?.w === w && sent.seg === seg, `segment ${seg} of walker ${w} was asked for and not sent`);
  const checkpoints = Buffer.from(sent.checkpoints, 'base64');
  refuseUnless(checkpoints.length === 8 * params.G, `walker ${w} has not one checkpoint for each segment`);
  const path = Buffer.from(sent.path, 'base64');
  refuseUnless(path.length === 32 * levels(params.W), `the path of walker ${w} has a wrong length`);
  const leaf = sha256('\x02', u32(w), checkpoints);
  refuseUnless(
    rootOf(leaf, w, path).equals(start.rootWalk),
    `the checkpoints of walker ${w} are not what was committed`,
  );
  let state = seg === 0 ? mix64(start.a ^ mix64(start.b + BigInt(w))) : checkpoints.readBigUInt64LE(8 * (seg - 1));
  refuseUnless(sent.rows.length === params.K, `segment ${seg} of walker ${w} has not K rows`);
  for (const row of sent.rows) {
    const place = placeOf(state, params);
    state = advance(state, open(checker, row, place.t, place.i), place.offset);
  }
  refuseUnless(state === checkpoints.readBigUInt64LE(8 * seg), `segment ${seg} of walker ${w} was not walked`);
}

/** Two vectors of n values below the prime. */
function drawVectors(n: number): Uint32Array {
  const bytes = randomBytes(8 * n);
  return Uint32Array.from({ length: 2 * n }, (_, i) => (bytes.readUInt32LE(4 * i) & 0x7fffffff) % prime);
}

/** `count` columns below n, a power of two. */
function drawColumns(n: number, count: number): Uint32Array {
  const bytes = randomBytes(4 * count);
  return Uint32Array.from({ length: count }, (_, i) => bytes.readUInt32LE(4 * i) % n);
}

/** Product `r` of all rows of an opened tile, 4n bytes each. */
function sumsOf(rows: OgvOpening['tiles'][number]['rows'], { n, R }: OgvParams, t: number, r: number): Buffer {
  const sums = Buffer.alloc(4 * n * rows.length);
  for (const [index, { c }] of rows.entries()) {
    const text = c[r] ?? '';
    const whole = c.length === R && Buffer.byteLength(text, 'base64') === 4 * n;
    refuseUnless(
      whole && sums.write(text, 4 * n * index, 'base64') === 4 * n,
      `tile ${t} has not R times n sums for each row`,
    );
  }
  return sums;
}

/**
 * Many rows of one tile at once (graval.md 6.4, step 6): Freivalds' check of all sums, or a look at some columns of each product. What a
 * sum is compared with is drawn only here, after the prover's sums came.
 */
function checkTile(
  checker: Checker,
  asked: { t: number; rows: number[] },
  sent: OgvOpening['tiles'][number] | undefined,
): void {
  const { params, key, math, columns } = checker;
  const { n, m, R } = params;
  const { t } = asked;
  refuseUnless(sent?.t === t && sent.rows.length === asked.rows.length, `tile ${t} was asked for and not sent`);
  const parts = asked.rows.map((i, index) => {
    const one = sent.rows[index];
    const prev = open(checker, one?.prev, t - 1, i);
    const from = sourceOf(prev, t, m);
    return { i, prev, src: open(checker, one?.src, from.t, from.i), x: open(checker, one?.x, t, i) };
  });
  let y: Uint8Array = Buffer.concat(parts.map((part) => part.prev));
  for (let r = 0; r < R; r++) {
    const sums = sumsOf(sent.rows, params, t, r);
    const claim = { t, r, y, sums };
    const held =
      columns === undefined
        ? math.product(params, key, claim, drawVectors(n))
        : math.columns(params, key, claim, drawColumns(n, columns));
    refuseUnless(held, `the sums of product ${r} of tile ${t} are wrong`);
    y = math.mixed(sums);
  }
  for (const [index, part] of parts.entries()) {
    const x = xor(y.subarray(index * n, (index + 1) * n), part.src);
    refuseUnless(x.equals(part.x), `row ${part.i} of tile ${t} does not follow from its sums`);
  }
}

/**
 * `device`: the record that the miner advertised. `queries.auditSeed` must be 32 fresh random bytes, drawn after the commit came. `columns`:
 * check so many random columns (1 or more) of each product of the opened tiles instead of all; README.md says what escapes then.
 */
export function verifyOpening(
  asked: { challenge: OgvChallenge; device: DeviceInfo; queries: OgvQueries; columns?: number },
  commit: OgvCommit,
  opening: OgvOpening,
  math: OgvMath,
): Verdict {
  const { challenge, device, queries, columns } = asked;
  if (columns !== undefined && !(columns >= 1)) throw new RangeError('columns: at least 1, or none would be checked');
  const [pkM, rootFill, rootWalk] = [commit.pkM, commit.rootFill, commit.rootWalk].map(hexBytes) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const { sigma, key } = contextOf(challenge, device, pkM);
  const committed = commitOf(sigma, rootFill, rootWalk);
  try {
    refuseUnless(challenge.device === device.uuid, 'the challenge is for another GPU');
    refuseUnless(
      committed.toString('hex') === commit.commit,
      'the commit is not made of this challenge, key and roots',
    );
    const plan = planOf(queries, committed, challenge.params);
    const sent = [
      ...opening.rows.slice(0, plan.rows.length).flatMap(({ x, prev, src }) => [x, prev, src]),
      ...opening.walks.slice(0, plan.walks.length).flatMap(({ rows }) => rows.slice(0, challenge.params.K)),
      ...opening.tiles
        .slice(0, plan.tiles.length)
        .flatMap(({ rows }) => rows.slice(0, queries.rowsPerTile).flatMap(({ x, prev, src }) => [x, prev, src])),
    ];
    const opened = openAll(math, challenge.params, rootFill, sent);
    const checker: Checker = { params: challenge.params, key, math, columns, opened };
    const start = { ...walkKeyOf(sigma, rootFill), rootWalk };
    for (const [at, row] of plan.rows.entries()) checkRow(checker, row, opening.rows[at]);
    for (const [at, walk] of plan.walks.entries()) checkWalk(checker, start, walk, opening.walks[at]);
    for (const [at, tile] of plan.tiles.entries()) checkTile(checker, tile, opening.tiles[at]);
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: error.message };
    throw error;
  }
  return { ok: true, session: { transcript: transcriptOf(sigma, committed, queries.auditSeed), pkM } };
}
