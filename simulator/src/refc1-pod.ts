// The chute pod's side of a claim with the proof profile refc1 (graval.md 5, steps 5 to 7): prove, unwrap the symmetric key, answer
// under it. The pod's HTTP calls are the caller's.

import { createCipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from './lossless.ts';
import { decryptWith, defaultSizes, type ProofDevice, prove, type WorkProduct } from './refc1.ts';

const claimReply = z.object({
  seed: z.union([z.int(), z.bigint()]).transform(BigInt),
  iterations: z.int().min(1),
  job_id: z.string().nullish(),
  symmetric_key: z.object({ ciphertext: z.string(), uuid: z.string(), response_plaintext: z.string() }),
});
export type ClaimReply = z.infer<typeof claimReply>;

/** Read what the validator answered to `POST {claim url}`; keeps the 63-bit seed exact. Throws a SyntaxError or ZodError. */
export function readClaimReply(text: string): ClaimReply {
  return claimReply.parse(parseJson(text));
}

export interface ClaimAnswer {
  /** base64 of AES-128-CBC, PKCS#7, under the symmetric key. */
  response: string;
  /** 32 hex digits. */
  iv: string;
  proof: Record<string, { work_product: WorkProduct }>;
}

/**
 * Body of `PUT {claim url}`: the work of all the pod's GPUs and the expected sentence under the unwrapped key. `configId` guards against
 * a reply that belongs to another launch. Throws when the reply was not made for these GPUs or this launch.
 */
export function answerClaim(
  reply: ClaimReply,
  devices: readonly ProofDevice[],
  configId: string,
  sizes = defaultSizes,
): ClaimAnswer {
  const { ciphertext, uuid, response_plaintext } = reply.symmetric_key;
  if (!response_plaintext.includes(configId)) throw new Error('the claim reply belongs to another launch config');
  const works = new Map(devices.map((device) => [device.uuid, prove(reply.seed, reply.iterations, device, sizes)]));
  const work = works.get(uuid);
  const key = work && decryptWith(work, ciphertext);
  if (key === undefined) throw new Error('the claim reply was encrypted for a GPU that this pod does not have');
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-128-cbc', Buffer.from(key, 'hex'), iv);
  return {
    response: Buffer.concat([cipher.update(response_plaintext, 'utf8'), cipher.final()]).toString('base64'),
    iv: iv.toString('hex'),
    proof: Object.fromEntries([...works].map(([id, { workProduct }]) => [id, { work_product: workProduct }])),
  };
}
