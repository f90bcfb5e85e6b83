import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAddon } from './addon.ts';
import type { OgvCommit, OgvOpening, OgvQueries, Progress } from './backend.ts';
import { buildAddon } from './build.ts';
import { openNative } from './native.ts';
import { nativeMath, prime, referenceMath } from './ogv/math.ts';
import { hexBytes, type Key, prf } from './ogv/primitives.ts';
import { contextOf, transcriptOf } from './ogv/protocol.ts';
import { keyPairFrom, seal, unseal } from './ogv/release.ts';
import { ogvCommit, ogvOpening } from './ogv/schemas.ts';
import { verifyOpening } from './ogv/verify.ts';
import { challengeOf, golden, h100, params, pkM } from './testing/samples.ts';

buildAddon();
const addon = loadAddon();
const native = nativeMath(addon);
const queries = (): OgvQueries => ({
  auditSeed: randomBytes(32).toString('hex'),
  rows: 12,
  walks: 3,
  tiles: 2,
  rowsPerTile: 5,
});

test('commit, audit and release work between a prover and a validator that share nothing but messages', async () => {
  for (const engine of ['cpu', 'emulated'] as const) {
    const backend = openNative({ engine, devices: [h100], threads: 2 });
    const ogv = backend.ogv;
    if (!ogv) throw new Error('no ogv1');
    const challenge = challengeOf(params(64, 32, 5, 2, 8, 4, 2));
    const phases: Progress[] = [];
    const commit: OgvCommit = ogvCommit.parse(await ogv.commit(challenge, { onProgress: (at) => phases.push(at) }));
    const asked = { challenge, device: h100, queries: queries() };
    const opening: OgvOpening = ogvOpening.parse(
      JSON.parse(JSON.stringify(await ogv.audit(commit.sessionId, asked.queries))),
    );
    for (const math of [referenceMath, native]) {
      const verdict = verifyOpening(asked, commit, opening, math);
      if (!verdict.ok) throw new Error(verdict.reason);
      if (math === referenceMath) continue;
      const sealed = seal('the key', { ...verdict.session, purpose: 'instance 1' });
      assert.is(await ogv.release(commit.sessionId, sealed, 'instance 1'), 'the key');
    }
    assert.ok(['alloc', 'fill', 'hash', 'walk'].every((phase) => phases.some((at) => at.phase === phase)));
    await backend.close();
  }
});

/** Arguments of a check of `rows` rows, whose sums are right. */
function rightClaim(n: number, rows: number) {
  const sizes = params(n, 4, 3, 1, 1, 1, 1);
  const key: Key = [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()];
  const y = randomBytes(n * rows);
  const s = prf(2 | (7 << 8), 2, key, 0, n * n);
  const sums = Buffer.alloc(4 * n * rows);
  for (let row = 0; row < rows; row++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += y.readInt8(row * n + k) * (((s[j * n + k] as number) << 24) >> 24);
      sums.writeInt32LE(sum, 4 * (row * n + j));
    }
  const vectors = Uint32Array.from({ length: 2 * n }, () => randomBytes(4).readUInt32LE() % prime);
  return { sizes, key, claim: { t: 2, r: 7, y, sums }, vectors };
}

for (const lanes of ['plain', 'avx2', 'avx512'] as const) {
  if (!addon.useLanes(lanes)) continue;
  test(`what ${lanes} computes for a validator is what the reference computes, for narrow and wide rows`, () => {
    addon.useLanes(lanes);
    for (const [n, rows] of [
      [64, 3],
      [512, 2],
    ] as const) {
      const { sizes, key, claim, vectors } = rightClaim(n, rows);
      const row = claim.y.subarray(0, n);
      assert.equal(Buffer.from(native.rowOf(sizes, key, 2, row)), Buffer.from(referenceMath.rowOf(sizes, key, 2, row)));
      assert.equal(Buffer.from(native.mixed(claim.sums)), Buffer.from(referenceMath.mixed(claim.sums)));
      const last = Uint32Array.of(0, n - 1);
      const maths = lanes === 'plain' ? [native, referenceMath] : [native];
      for (const math of maths) {
        assert.ok(math.product(sizes, key, claim, vectors) && math.columns(sizes, key, claim, last));
        for (const [at, bit] of [
          [0, 1],
          [3, 0x80],
          [4 * n * rows - 1, 0x80],
        ] as const) {
          const sums = Buffer.from(claim.sums);
          sums[at] = (sums[at] as number) ^ bit;
          const wrong = { ...claim, sums };
          assert.is(math.product(sizes, key, wrong, vectors), false, `byte ${at}`);
          assert.is(math.columns(sizes, key, wrong, last), false, `byte ${at}`);
        }
        assert.ok(math.columns(sizes, key, claim, Uint32Array.of()));
      }
    }
  });
}

test('a release gives the recorded transcript and ciphertext, and opens with the recorded key only', () => {
  const sizes = golden[0]?.sizes ?? params(64, 128, 16, 1, 64, 8, 4);
  const { sigma } = contextOf(challengeOf(sizes), h100, pkM);
  const transcript = transcriptOf(sigma, hexBytes(golden[0]?.commit ?? ''), '55'.repeat(32));
  assert.is(transcript.toString('hex'), '98a00b0f4250aeb36c9e2ccb89414b9fd750e6eb550d6f0885eeccead52f38d9');
  const pair = keyPairFrom(Buffer.alloc(32, 0x11));
  const fixed = { pair: keyPairFrom(Buffer.alloc(32, 0x22)), nonce: Buffer.alloc(12, 0x33) };
  const wire = seal('hello', { transcript, pkM: pair.publicKey, purpose: 'test' }, fixed);
  assert.is(wire, 'D6poTtKIZ7l/Smot7l34zpdOdrcBjj8iocTPJnhXDyAzMzMzMzMzMzMzMzMn7bKDwCNOL6EGY+mC8WxwqiQgi6s=');
  assert.is(unseal(wire, { transcript, pair, purpose: 'test' }), 'hello');
  const strangers = [
    { transcript, pair, purpose: 'other' },
    { transcript, pair: keyPairFrom(Buffer.alloc(32, 0x12)), purpose: 'test' },
    { transcript: Buffer.alloc(32), pair, purpose: 'test' },
  ];
  for (const stranger of strangers) assert.throws(() => unseal(wire, stranger), /not sealed for this session/);
});

test('a release sealed to a weak point of the curve is refused', () => {
  const pair = keyPairFrom(Buffer.alloc(32, 0x11));
  const weak = { transcript: Buffer.alloc(32), pkM: Buffer.alloc(32), purpose: 'test' };
  assert.throws(() => seal('hello', weak));
  const wire = Buffer.concat([Buffer.alloc(32), Buffer.alloc(40)]).toString('base64');
  assert.throws(() => unseal(wire, { transcript: Buffer.alloc(32), pair, purpose: 'test' }), /not sealed/);
});

test.run();
