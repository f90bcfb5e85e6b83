// ogv1 as it travels in JSON (graval.md 6.2); `seed` must have been read losslessly. Bounds here are those of the protocol itself.

import { z } from 'zod';
import type { OgvChallenge, OgvCommit, OgvOpening, OgvQueries } from '../backend.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
const u32 = z
  .int()
  .min(1)
  .max(2 ** 32 - 1);
const powerOfTwo = u32.refine((value) => (value & (value - 1)) === 0, 'must be a power of two');
const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64');
const count = z.int().min(0).max(65_536);

export const ogvChallenge: z.ZodType<OgvChallenge> = z.object({
  seed: z
    .union([z.int(), z.bigint()])
    .transform(BigInt)
    .refine((value) => value >= 0n && value < 2n ** 64n, 'must be in 0 … 2^64-1'),
  nonce: hex32,
  device: z.string().regex(/^[0-9a-f]{32}$/, 'must be a uuid of 32 lower-case hex digits'),
  params: z.object({
    n: powerOfTwo.refine((value) => value >= 64 && value <= 65_536, 'must be 64 to 65536'),
    m: powerOfTwo,
    N: u32.min(2),
    R: u32.max(255),
    W: powerOfTwo,
    K: u32,
    G: u32,
  }),
});

export const ogvCommit: z.ZodType<OgvCommit> = z.object({
  sessionId: z.string().min(1).max(64),
  pkM: hex32,
  rootFill: hex32,
  rootWalk: hex32,
  commit: hex32,
  phaseMs: z.partialRecord(z.enum(['alloc', 'fill', 'hash', 'walk', 'prove']), z.number()),
});

export const ogvQueries: z.ZodType<OgvQueries> = z.object({
  auditSeed: hex32,
  rows: count,
  walks: count,
  tiles: count,
  rowsPerTile: count,
});

const row = z.object({ t: z.int().min(0), i: z.int().min(0), row: base64, path: base64 });

export const ogvOpening: z.ZodType<OgvOpening> = z.object({
  rows: z.array(z.object({ x: row, prev: row.optional(), src: row.optional() })),
  walks: z.array(z.object({ w: z.int(), seg: z.int(), checkpoints: base64, path: base64, rows: z.array(row) })),
  tiles: z.array(
    z.object({ t: z.int(), rows: z.array(z.object({ prev: row, src: row, x: row, c: z.array(base64) })) }),
  ),
});
