// What a GPU node answers to a validator during verification with the proof profile refc1 (protocol.md 4.2, graval.md 3).
// The node's HTTP server, its signature checks and its pace are the caller's.
//
//   GET  /info?challenge=<64 hex>   signed over `graval`          → 200 text/plain, infoAnswer(challenge, devices)
//   POST /prove                     signed over the body's hash   → 200 JSON, answerProve(readProveRequest(text), devices)
//        {"seed": 63-bit integer, "iterations": 1-10, "ciphertext": {"<gpu uuid>": base64}}
//        {"devices": [...], "seed", "proof": {"<uuid>": {device_id, device_uuid, device_name, work_product}}, "plaintext": {"<uuid>": text}}
//   Both carry X-Chutes-Miner, -Validator, -Nonce, -Signature over `miner:validator:nonce:tail`. Device order is the device index.

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from './lossless.ts';
import { decryptWith, defaultSizes, type ProofDevice, prove, type WorkProduct } from './refc1.ts';

export const maxSeed = 2n ** 63n - 1n;

/** Uniform in 1 … 2^63-1. */
export function newSeed(): bigint {
  return randomBytes(8).readBigUInt64BE() >> 1n || 1n;
}

const seed = z
  .union([z.int(), z.bigint()])
  .transform(BigInt)
  .refine((value) => value >= 0n && value <= maxSeed, 'must be in 0 … 2^63-1');

export const proveRequest = z.object({
  seed,
  iterations: z.int().min(1).max(10).default(1),
  ciphertext: z.record(z.string(), z.string()).default({}),
});
export type ProveRequest = z.infer<typeof proveRequest>;

export const workProductShape = z.object({
  intermediate_hashes: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  num_matrices: z.int(),
  total_iterations: z.int(),
});

export const proveReply = z.object({
  seed,
  proof: z.record(z.string(), z.object({ work_product: workProductShape })),
  plaintext: z.record(z.string(), z.string()).default({}),
});

export interface ProveReply<D extends ProofDevice> {
  devices: readonly D[];
  seed: bigint;
  proof: Record<string, { device_id: number; device_uuid: string; device_name: string; work_product: WorkProduct }>;
  plaintext: Record<string, string>;
}

/** Read the body of `POST /prove`. Throws a SyntaxError or ZodError on anything else. */
export function readProveRequest(text: string): ProveRequest {
  return proveRequest.parse(parseJson(text));
}

/** Prove on every GPU and decrypt what was sent for it; a text that does not decrypt is left out. Send it with `toJson`. */
export function answerProve<D extends ProofDevice>(
  request: ProveRequest,
  devices: readonly D[],
  sizes = defaultSizes,
): ProveReply<D> {
  const reply: ProveReply<D> = { devices, seed: request.seed, proof: {}, plaintext: {} };
  for (const [device_id, device] of devices.entries()) {
    const work = prove(request.seed, request.iterations, device, sizes);
    const { uuid, name } = device;
    reply.proof[uuid] = { device_id, device_uuid: uuid, device_name: name, work_product: work.workProduct };
    const sent = request.ciphertext[uuid];
    const text = sent === undefined ? undefined : decryptWith(work, sent);
    if (text !== undefined) reply.plaintext[uuid] = text;
  }
  return reply;
}
