// The attacks of graval.md 8 that need no hardware, each played against the real prover and found by the real verifier.

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAddon } from './addon.ts';
import { GravalError, type OgvChallenge, type OgvCommit, type OgvOpening, type OgvQueries } from './backend.ts';
import { buildAddon } from './build.ts';
import { openNative } from './native.ts';
import { nativeMath } from './ogv/math.ts';
import { hexBytes } from './ogv/primitives.ts';
import { commitOf, contextOf, planOf } from './ogv/protocol.ts';
import { newKeyPair, seal } from './ogv/release.ts';
import { ogvChallenge } from './ogv/schemas.ts';
import { verifyOpening } from './ogv/verify.ts';
import { challengeOf, h100, params } from './testing/samples.ts';

buildAddon();
const math = nativeMath(loadAddon());
const sizes = params(64, 32, 5, 2, 8, 4, 2);
const hex = () => randomBytes(32).toString('hex');

interface Played {
  challenge: OgvChallenge;
  device: typeof h100;
  queries: OgvQueries;
  commit: OgvCommit;
  opening: OgvOpening;
}

const backend = openNative({ engine: 'cpu', devices: [h100], threads: 1 });
const ogv = backend.ogv;
if (!ogv) throw new Error('no ogv1');

async function play(challenge: OgvChallenge = { ...challengeOf(sizes), nonce: hex() }): Promise<Played> {
  const prover = ogv as NonNullable<typeof ogv>;
  const commit = await prover.commit(challenge);
  const queries = { auditSeed: hex(), rows: 24, walks: 3, tiles: 2, rowsPerTile: 4 };
  const opening = await prover.audit(commit.sessionId, queries);
  await prover.discard(commit.sessionId);
  return { challenge, device: h100, queries, commit, opening };
}

const honest = await play();

function verdictOf(played: Played) {
  return verifyOpening(played, played.commit, played.opening, math);
}

function refused(played: Played, reason: RegExp): void {
  const verdict = verdictOf(played);
  assert.is(verdict.ok, false);
  if (!verdict.ok) assert.match(verdict.reason, reason);
}

/** A copy with one thing changed. */
function altered(change: (copy: Played) => void): Played {
  const copy = structuredClone(honest);
  change(copy);
  return copy;
}

function flipBase64(text: string, at = 0): string {
  const bytes = Buffer.from(text, 'base64');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64');
}

function longer(text: string): string {
  return Buffer.concat([Buffer.from(text, 'base64'), Buffer.alloc(32)]).toString('base64');
}

function the<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the honest opening has no such part');
  return value;
}

test('an honest prover is accepted', () => {
  assert.is(verdictOf(honest).ok, true);
});

test('1: a record that lies about model or memory changes every value', () => {
  for (const lie of [{ name: 'NVIDIA H200' }, { memory: h100.memory * 2 }, { processors: 1 }, { clock_rate: 1 }]) {
    refused({ ...honest, device: { ...h100, ...lie } }, /commit/);
  }
});

test('3: a tile that was dropped and replaced by another is found by its path', () => {
  refused(
    altered(({ opening }) => {
      const from = the(opening.rows.find(({ prev }) => prev));
      from.x.row = the(from.prev).row;
    }),
    /not what was committed/,
  );
});

test('4: a row that was committed without being computed is found, as is one of the first tile', async () => {
  // The prover computes with the key of another challenge and commits to that: paths are right, arithmetic is not.
  const lazy = await play({ ...honest.challenge, seed: 43n });
  const { sigma } = contextOf(honest.challenge, h100, hexBytes(lazy.commit.pkM));
  const commit = commitOf(sigma, hexBytes(lazy.commit.rootFill), hexBytes(lazy.commit.rootWalk));
  const plan = planOf(lazy.queries, commit, sizes);
  // It may even open whatever is asked: rows of the wrong matrices under the wrong root.
  assert.ok(plan.rows.length > 0);
  const claimed = { ...lazy, challenge: honest.challenge, commit: { ...lazy.commit, commit: commit.toString('hex') } };
  refused(claimed, /asked for and not sent|was not computed|not the challenge's/);
});

test('4: sums of a whole tile that are wrong in one place are found, also when they differ by 2^31', () => {
  for (const at of [0, 3]) {
    refused(
      altered(({ opening }) => {
        const row = the(opening.tiles[0]?.rows[0]);
        const sums = Buffer.from(the(row.c[0]), 'base64');
        sums[at] = (sums[at] ?? 0) ^ 0x80;
        row.c[0] = sums.toString('base64');
      }),
      /sums of product 0/,
    );
  }
});

test('4: right sums that do not lead to the committed row are found', () => {
  refused(
    altered(({ opening }) => {
      const [one, other] = the(opening.tiles[0]).rows;
      the(one).c = the(other).c;
    }),
    /sums of product 0/,
  );
});

test('4: where only columns of the products are looked at, a row that was not computed is found as well', () => {
  const looked = (played: Played, columns: number) =>
    verifyOpening({ ...played, columns }, played.commit, played.opening, math);
  assert.is(looked(honest, 1).ok, true);
  const made = altered(({ opening }) => {
    const [one, other] = the(opening.tiles[0]).rows;
    the(one).c = the(other).c;
  });
  assert.match(JSON.stringify(looked(made, 4)), /sums of product 0/);
  // One wrong sum alone saves nobody any work; it is found as often as its column is drawn.
  const one = altered(({ opening }) => {
    const row = the(opening.tiles[0]?.rows[0]);
    row.c[1] = flipBase64(the(row.c[1]));
  });
  assert.match(JSON.stringify(looked(one, 64 * 32)), /sums of product 1/);
  // Sums that were not looked at still have to lead to the committed row.
  assert.match(JSON.stringify(looked(one, 1)), /sums of product 1|does not follow from its sums/);
  assert.throws(() => looked(honest, 0), /at least 1/);
});

test('5: an opening for questions of the prover’s own choice is refused', () => {
  refused({ ...honest, queries: { ...honest.queries, auditSeed: hex() } }, /asked for and not sent/);
});

test('6: a proof of one GPU does not stand for another', () => {
  refused({ ...honest, device: { ...h100, uuid: 'ff'.repeat(16) } }, /another GPU/);
  const uuid = 'ff'.repeat(16);
  refused({ ...honest, device: { ...h100, uuid }, challenge: { ...honest.challenge, device: uuid } }, /commit/);
});

test('8: an old answer does not fit a new nonce, seed or audit', () => {
  refused({ ...honest, challenge: { ...honest.challenge, nonce: hex() } }, /commit/);
  refused({ ...honest, challenge: { ...honest.challenge, seed: 43n } }, /commit/);
});

test('9: nothing of a session is known before its nonce: two challenges share no row', async () => {
  const second = await play();
  const rows = new Set(honest.opening.rows.map(({ x }) => x.row));
  assert.ok(second.opening.rows.every(({ x }) => !rows.has(x.row)));
});

test('11: a key put in by somebody in the middle breaks the commit, and a sealed text opens for the prover alone', async () => {
  refused(
    altered(({ commit }) => {
      commit.pkM = Buffer.from(newKeyPair().publicKey).toString('hex');
    }),
    /commit/,
  );
  const verdict = verdictOf(honest);
  if (!verdict.ok) throw new Error(verdict.reason);
  const commit = await ogv.commit({ ...honest.challenge, nonce: hex() });
  await ogv.audit(commit.sessionId, honest.queries);
  const sealed = seal('the key', { ...verdict.session, purpose: 'p' });
  const error = await ogv.release(commit.sessionId, sealed, 'p').catch((reason) => reason);
  assert.is(error.code, 'DECRYPT_FAILED');
  await ogv.discard(commit.sessionId);
});

test('2: a walk that was not walked is found, whether its rows, its checkpoints or its path were made up', () => {
  const changes: [RegExp, (opening: OgvOpening) => void][] = [
    [/asked for and not sent/, ({ walks }) => the(walks[0]).rows.reverse()],
    [
      /checkpoints/,
      ({ walks }) => Object.assign(the(walks[0]), { checkpoints: flipBase64(the(walks[0]).checkpoints) }),
    ],
    [/checkpoints/, ({ walks }) => Object.assign(the(walks[0]), { path: flipBase64(the(walks[0]).path) })],
    [/not K rows/, ({ walks }) => the(walks[0]).rows.pop()],
  ];
  for (const [reason, change] of changes)
    refused(
      altered(({ opening }) => change(opening)),
      reason,
    );
});

test('a row with a flipped byte, a wrong place, a cut or a longer path is refused', () => {
  const changes: [RegExp, (row: OgvOpening['rows'][number]['x']) => void][] = [
    [/committed|two versions/, (row) => Object.assign(row, { row: flipBase64(row.row) })],
    [/committed/, (row) => Object.assign(row, { path: flipBase64(row.path, 40) })],
    [/not sent/, (row) => Object.assign(row, { t: row.t + 1 })],
    [/n bytes/, (row) => Object.assign(row, { row: row.row.slice(0, 40) })],
    [/wrong length/, (row) => Object.assign(row, { path: longer(row.path) })],
    [/wrong length/, (row) => Object.assign(row, { path: '' })],
  ];
  for (const [reason, change] of changes) {
    refused(
      altered(({ opening }) => change(the(opening.rows[0]).x)),
      reason,
    );
  }
});

test('every single flipped byte of an opening is found', () => {
  for (let round = 0; round < 60; round++) {
    const copy = structuredClone(honest);
    const rows = [
      ...copy.opening.rows.flatMap(({ x, prev, src }) => [x, prev, src]),
      ...copy.opening.walks.flatMap((walk) => walk.rows),
      ...copy.opening.tiles.flatMap((tile) => tile.rows.flatMap(({ x, prev, src }) => [x, prev, src])),
    ].filter((row) => row !== undefined);
    const row = the(rows[(round * 7919) % rows.length]);
    row.row = flipBase64(row.row, (round * 31) % 64);
    assert.is(verdictOf(copy).ok, false, `round ${round}`);
  }
});

test('15, 16: sizes that no GPU has, and seeds and nonces out of range, are refused before memory is taken', async () => {
  const wrong: Partial<OgvChallenge>[] = [
    { params: { ...sizes, n: 96 } },
    { params: { ...sizes, N: 2 ** 32 } },
    { params: { ...sizes, N: 2 ** 31 } },
    { params: { ...sizes, K: Number.NaN } },
    { params: { ...sizes, R: 256 } },
    { seed: -1n },
    { seed: 2n ** 64n },
    { nonce: 'ab' },
    { device: 'ff'.repeat(16) },
  ];
  for (const change of wrong) {
    const error = await ogv.commit({ ...challengeOf(sizes), ...change }).catch((reason) => reason);
    assert.instance(error, GravalError);
    assert.is(
      error.code,
      'BAD_INPUT',
      JSON.stringify(change, (_, value) => `${value}`),
    );
  }
  assert.is(ogvChallenge.safeParse({ ...challengeOf(sizes), seed: 2 ** 60 }).success, false);
});

test('17: a session is audited once, and not after it ended', async () => {
  const commit = await ogv.commit({ ...challengeOf(sizes), nonce: hex() });
  await ogv.audit(commit.sessionId, honest.queries);
  const again = await ogv.audit(commit.sessionId, honest.queries).catch((reason) => reason);
  assert.is(again.code, 'BAD_INPUT');
  await ogv.discard(commit.sessionId);
  const ended = await ogv.release(commit.sessionId, '', 'p').catch((reason) => reason);
  assert.is(ended.code, 'BAD_INPUT');
});

test('6: a GPU that holds a session takes no second one', async () => {
  const commit = await ogv.commit({ ...challengeOf(sizes), nonce: hex() });
  const second = await ogv.commit({ ...challengeOf(sizes), nonce: hex() }).catch((reason) => reason);
  assert.is(second.code, 'VRAM_BUSY');
  await ogv.discard(commit.sessionId);
});

test.after(() => backend.close());

test.run();
