// Checks requests that reach a service of the miner. Never throws: whatever is wrong with a request, the answer is a refusal. Cheap checks
// come first; only a request that passed all others costs a signature check (about 1 ms). All that is compared is public (addresses,
// nonces), so the time it takes tells nothing; the signature itself is the engine's to check.

import type { Clock } from '../domain/clock.ts';
import { createNonceCache } from './nonce-cache.ts';
import { bodyHash } from './sign.ts';
import { verifySignature } from './sr25519.ts';
import { decodeAddress } from './ss58.ts';

/** Nonces further than this from now are refused, in both directions (protocol.md 1.4, trap 5). */
export const nonceWindowSeconds = 30;

const bodyMethods = new Set(['POST', 'PUT', 'PATCH']);

export interface SignedRequest {
  method: string;
  /** Names in lower case, as node:http gives them. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The exact bytes received. */
  body: Uint8Array;
  /** Purpose of the route, signed by every method without a body hash. */
  purpose: string;
}

/** `reason` is for our own log; the answer to the caller says nothing but 401. */
export type Verdict = { accepted: true; signer: string } | { accepted: false; reason: string };

export interface Verifier {
  /** Everything but the signature: lets a service refuse before it reads a body. */
  precheck(headers: SignedRequest['headers']): Verdict;
  /** Accepts each signature once. */
  verify(request: SignedRequest): Verdict;
}

export interface VerifierOptions {
  /** Own hotkey (ss58): `X-Chutes-Miner` must name it. */
  miner: string;
  /** Addresses that may sign; `X-Chutes-Validator` must name one of them. */
  allowedSigners: Iterable<string>;
  clock: Pick<Clock, 'now'>;
}

interface Credentials {
  signer: string;
  publicKey: Uint8Array;
  nonce: string;
  signature: string;
}

function refuse(reason: string): { accepted: false; reason: string } {
  return { accepted: false, reason };
}

/** Verify requests to a miner-side service by the rules of protocol.md 1.2 and 1.4, with 401 where upstream answers 500. */
export function createVerifier({ miner, allowedSigners, clock }: VerifierOptions): Verifier {
  const keys = new Map<string, Uint8Array>();
  for (const address of allowedSigners) {
    const publicKey = decodeAddress(address);
    if (publicKey) keys.set(address, publicKey);
  }
  // A nonce from 30 s ahead stays acceptable until it is 30 s old.
  const seen = createNonceCache(clock, 2 * nonceWindowSeconds * 1000);

  function readCredentials(headers: SignedRequest['headers']): Credentials | { accepted: false; reason: string } {
    const signer = headers['x-chutes-validator'];
    const nonce = headers['x-chutes-nonce'];
    const signature = headers['x-chutes-signature'];
    if (headers['x-chutes-miner'] !== miner) return refuse('not for this miner');
    const publicKey = typeof signer === 'string' ? keys.get(signer) : undefined;
    if (typeof signer !== 'string' || !publicKey) return refuse('signer not allowed');
    if (typeof nonce !== 'string' || !/^\d{1,12}$/.test(nonce)) return refuse('nonce is not an integer');
    if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/i.test(signature))
      return refuse('signature is not 128 hex digits');
    const age = clock.now() / 1000 - Number(nonce);
    if (Math.abs(age) >= nonceWindowSeconds) return refuse(`nonce is ${Math.round(age)} s old`);
    if (seen.has(signature.toLowerCase())) return refuse('signature was used before');
    return { signer, publicKey, nonce, signature: signature.toLowerCase() };
  }

  function precheck(headers: SignedRequest['headers']): Verdict {
    const credentials = readCredentials(headers);
    return 'accepted' in credentials ? credentials : { accepted: true, signer: credentials.signer };
  }

  function verify({ method, headers, body, purpose }: SignedRequest): Verdict {
    const credentials = readCredentials(headers);
    if ('accepted' in credentials) return credentials;
    const { signer, publicKey, nonce, signature } = credentials;
    const tail = bodyMethods.has(method) ? bodyHash(body) : purpose;
    const message = `${miner}:${signer}:${nonce}:${tail}`;
    if (!verifySignature(Buffer.from(signature, 'hex'), message, publicKey)) return refuse('signature does not fit');
    seen.add(signature);
    return { accepted: true, signer };
  }

  return { precheck, verify };
}
