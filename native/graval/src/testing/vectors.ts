// Random challenges on two engines, from a seed that can be given again: whatever the sizes, both must give the same bytes.

import type { Addon, EngineKind, NativeSession } from '../addon.ts';
import type { OgvChallenge, OgvParams } from '../backend.ts';
import { sha256, u32 } from '../ogv/primitives.ts';
import { runEngine } from './roots.ts';
import { challengeOf, golden, h100, params, pkM } from './samples.ts';

interface Vector {
  challenge: OgvChallenge;
  pkM: Buffer;
  /** What is opened afterwards. */
  place: { t: number; i: number; w: number; seg: number };
}

/** Small sizes, so that a thousand take seconds where every thread of a GPU is imitated. */
function vectorAt(seed: string, index: number): Vector {
  const bytes = sha256(seed, u32(index));
  const byte = (at: number) => bytes[at] as number;
  const n = 64 << (byte(0) % 16 === 0 ? 1 : 0);
  const [m, N, R] = [1 << (byte(1) % 6), 2 + (byte(2) % 4), 1 + (byte(3) % 2)];
  const [W, K, G] = [1 << (byte(4) % 4), 1 + (byte(5) % 5), 1 + (byte(6) % 3)];
  return {
    challenge: {
      seed: 1n + (bytes.readBigUInt64LE(8) >> 1n),
      nonce: sha256('nonce', bytes).toString('hex'),
      device: h100.uuid,
      params: params(n, m, N, R, W, K, G),
    },
    pkM: sha256('pkM', bytes),
    place: { t: 1 + (byte(16) % (N - 1)), i: byte(17) % m, w: byte(18) % W, seg: byte(19) % G },
  };
}

async function openingOf(session: NativeSession, { t, i, w, seg }: Vector['place']): Promise<string> {
  const places = Uint32Array.of(t, i, t - 1, i);
  const parts = [
    await session.rows(places),
    await session.paths(places),
    Buffer.from((await session.steps(w, seg)).buffer),
    await session.sums(t, Uint32Array.of(i)),
    session.checkpoints(w),
    session.walkPath(w),
  ];
  return sha256(...parts).toString('hex');
}

async function bytesOf(addon: Addon, engine: EngineKind, vector: Vector): Promise<string[]> {
  const run = await runEngine(addon, { engine, threads: 1 }, vector.challenge, vector.pkM);
  try {
    return [run.rootFill, run.rootWalk, run.commit, await openingOf(run.session, vector.place)];
  } finally {
    run.session.free();
  }
}

/** Sizes of the first challenge on which `engine` differs from the CPU, in roots, commit or an opening; undefined: none of `count` does. */
export async function firstDifference(
  addon: Addon,
  engine: EngineKind,
  { seed, count }: { seed: string; count: number },
): Promise<{ index: number; params: OgvParams } | undefined> {
  for (let index = 0; index < count; index++) {
    const vector = vectorAt(seed, index);
    const [ours, theirs] = [await bytesOf(addon, 'cpu', vector), await bytesOf(addon, engine, vector)];
    if (ours.join() !== theirs.join()) return { index, params: vector.challenge.params };
  }
  return undefined;
}

/** Number of the recorded values that `engine` gives; throws with the first that it does not. The largest is too much for imitated threads. */
export async function checkGolden(addon: Addon, engine: EngineKind): Promise<number> {
  let same = 0;
  for (const { sizes, ...expected } of engine === 'emulated' ? golden.slice(0, 2) : golden) {
    const run = await runEngine(addon, { engine }, challengeOf(sizes), pkM);
    run.session.free();
    for (const [key, value] of Object.entries(expected)) {
      if (run[key as 'commit'] !== value) throw new Error(`${key} of ${JSON.stringify(sizes)} is not the recorded one`);
      same += 1;
    }
  }
  return same;
}
