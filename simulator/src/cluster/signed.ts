// Signed requests as miner-side services check them: four headers, four-part string (protocol.md 1.2 and 1.4).

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { verifySignature } from '../sr25519.ts';

/** Nonces are real time, however fast the simulated clock runs. */
const nonceWindowSeconds = 30;

export interface SignatureCheck {
  /** ss58 that X-Chutes-Miner must name. */
  miner: string;
  /** Signers that may stand in X-Chutes-Validator. */
  signers: readonly string[];
  /** Purpose, or the exact body whose hash was signed. */
  tail: { purpose: string } | { body: string };
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

/** False for anything that is missing, expired, malformed or not allowed; never throws. */
export function isSigned(request: IncomingMessage, check: SignatureCheck): boolean {
  const miner = header(request, 'x-chutes-miner');
  const signer = header(request, 'x-chutes-validator');
  const nonce = header(request, 'x-chutes-nonce');
  if (miner !== check.miner || !check.signers.includes(signer) || !/^\d{1,15}$/.test(nonce)) return false;
  if (Math.abs(Date.now() / 1000 - Number(nonce)) >= nonceWindowSeconds) return false;
  const tail =
    'purpose' in check.tail ? check.tail.purpose : createHash('sha256').update(check.tail.body).digest('hex');
  const message = new TextEncoder().encode(`${miner}:${signer}:${nonce}:${tail}`);
  return verifySignature(signer, message, header(request, 'x-chutes-signature'));
}
