// Chance as an input: planning takes a generator, so that the same input gives the same output.

import { randomBytes } from 'node:crypto';

/** Uniform in [0, 1). */
export type Random = () => number;

/** Deterministic generator (mulberry32); good enough for tests and simulations, not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const poolBytes = 4096;
let pool = Buffer.alloc(0);
let used = 0;

/** Unpredictable generator for production: ids never repeat across restarts. Draws from the system many numbers at a time. */
export const systemRandom: Random = () => {
  if (used === pool.length) {
    pool = randomBytes(poolBytes);
    used = 0;
  }
  const drawn = pool.readUInt32BE(used) / 2 ** 32;
  used += 4;
  return drawn;
};

const hexDigits = Buffer.from('0123456789abcdef');
const dash = 0x2d;
const uuidText = Buffer.alloc(36, dash);

/** A version 4 UUID from the generator. */
export function uuidFrom(random: Random): string {
  let at = 0;
  for (let i = 0; i < 16; i++) {
    let byte = Math.floor(random() * 256);
    if (i === 6) byte = (byte & 0x0f) | 0x40;
    if (i === 8) byte = (byte & 0x3f) | 0x80;
    if (i === 4 || i === 6 || i === 8 || i === 10) at++;
    uuidText[at++] = hexDigits[byte >> 4] as number;
    uuidText[at++] = hexDigits[byte & 15] as number;
  }
  return uuidText.toString('latin1');
}
