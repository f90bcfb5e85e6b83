// The bodies of the bootstrap server (graval.md 4.1): seeds have 63 bits, so nothing here passes through JSON.parse.

import { parse, stringify } from 'lossless-json';
import { z } from 'zod';
import type { DeviceInfo, GpuProof } from '../backend.ts';

const largestSeed = 2n ** 63n - 1n;
/** Most GPUs of one server, and so most texts to decrypt. */
const maxGpus = 10;
const ivBytes = 16;
const maxCiphertextChars = 64 * 1024;

const base64 = z
  .string()
  .max(maxCiphertextChars)
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'must be base64')
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length > ivBytes, `must hold ${ivBytes} bytes of initialization vector and a text`)
  .transform((bytes) => ({ iv: bytes.subarray(0, ivBytes), ciphertext: bytes.subarray(ivBytes) }));

const proveRequest = z.object({
  seed: z
    .union([z.int(), z.bigint()])
    .transform(BigInt)
    .refine((seed) => seed >= 0n && seed <= largestSeed, 'must be in 0 … 2^63-1'),
  iterations: z.int().min(1).max(10).default(1),
  ciphertext: z
    .record(z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex digits'), base64)
    .nullish()
    .transform((texts) => texts ?? {})
    .refine((texts) => Object.keys(texts).length <= maxGpus, `must hold at most ${maxGpus} texts`),
});

export type ProveRequest = z.infer<typeof proveRequest>;

export interface ProveReply {
  devices: readonly DeviceInfo[];
  seed: bigint;
  proof: Record<string, GpuProof>;
  /** By GPU; a text that does not decrypt is left out. */
  plaintext: Record<string, string>;
}

/** Of lossless-json: an integer that a double cannot hold becomes a bigint. */
export function readNumber(text: string): number | bigint {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

/** Throws a SyntaxError or ZodError. */
export function readProveRequest(body: string): ProveRequest {
  return proveRequest.parse(parse(body, undefined, readNumber));
}

const tokenRequest = z.object({ token_url: z.string().max(4096) });

/** Throws a SyntaxError or ZodError. */
export function readTokenRequest(body: string): string {
  return tokenRequest.parse(JSON.parse(body)).token_url;
}

/** A bigint becomes a bare integer. */
export function toJson(value: unknown): string {
  return stringify(value) ?? 'null';
}
