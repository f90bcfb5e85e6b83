// The validator's side of refc1 behind the face that the vendor's library has too, so that either can challenge a node.

import { randomBytes } from 'node:crypto';
import type { Verifier } from '@miner/graval/backend.ts';
import { checkProof, encryptWith, infoAnswer, type ProofSizes, prove } from './refc1.ts';

/** Others are answered while it computes, between one GPU and the next. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function refc1Verifier(sizes: ProofSizes): Verifier {
  return {
    async encrypt(device, text, iterations, seed) {
      const bytes = Buffer.from(encryptWith(prove(seed, iterations, device, sizes), text), 'base64');
      await breathe();
      return { seed, iv: bytes.subarray(0, 16), ciphertext: bytes.subarray(16) };
    },
    async checkProof(device, seed, proof, spot) {
      await breathe();
      return checkProof(device, seed, { iterations: proof.total_iterations, sizes }, proof, spot);
    },
    makeInfoChallenge: async (count) =>
      Buffer.concat([Uint8Array.of(Math.floor(Math.random() * count)), randomBytes(31)]).toString('hex'),
    checkInfo: async (challenge, answer, devices) => answer === infoAnswer(challenge, devices),
    close: async () => undefined,
  };
}
