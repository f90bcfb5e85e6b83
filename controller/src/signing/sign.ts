// Signed headers of outgoing requests, for the three directions of protocol.md 1.1 and 1.2. Receivers refuse a nonce older than 30 s:
// sign each request anew, right before it is sent.

import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { Signer } from './sr25519.ts';

/** What the signature covers: the exact bytes sent or, where there are none, the purpose of the route. */
export interface SignedContent {
  body?: string | Uint8Array | undefined;
  purpose?: string | undefined;
}

/** Header names keep this case: the socket sends them as keys of an object. */
export type SignedHeaders = Record<string, string>;

/** Lower-case hex SHA-256 of the exact bytes. */
export function bodyHash(body: string | Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

/** A body that is not empty wins over the purpose; an empty body counts only where no purpose is given (protocol.md 1.2). */
function tailOf({ body, purpose }: SignedContent): string {
  if (body !== undefined && body.length > 0) return bodyHash(body);
  if (purpose !== undefined) return purpose;
  if (body !== undefined) return bodyHash(body);
  throw new TypeError('a signature needs a body or a purpose');
}

function nonceOf(clock: Pick<Clock, 'now'>): string {
  return String(Math.floor(clock.now() / 1000));
}

/** Miner to validator: three parts, `X-Chutes-Hotkey`. Also the payload of the socket's `authenticate`. */
export function validatorHeaders(
  signer: Signer,
  content: SignedContent,
  clock: Pick<Clock, 'now'> = systemClock,
): SignedHeaders {
  const nonce = nonceOf(clock);
  return {
    'X-Chutes-Hotkey': signer.address,
    'X-Chutes-Nonce': nonce,
    'X-Chutes-Signature': signer.sign(`${signer.address}:${nonce}:${tailOf(content)}`),
  };
}

/** Validator to a service of the miner `miner` (ss58): four parts, `X-Chutes-Validator` names the signer. */
export function serviceHeaders(
  signer: Signer,
  miner: string,
  content: SignedContent,
  clock: Pick<Clock, 'now'> = systemClock,
): SignedHeaders {
  const nonce = nonceOf(clock);
  return {
    'X-Chutes-Miner': miner,
    'X-Chutes-Validator': signer.address,
    'X-Chutes-Nonce': nonce,
    'X-Chutes-Signature': signer.sign(`${miner}:${signer.address}:${nonce}:${tailOf(content)}`),
  };
}

/** Miner to its own services (miner API, agent, GPU verification): four parts, the miner in both places. */
export function managementHeaders(
  signer: Signer,
  content: SignedContent,
  clock: Pick<Clock, 'now'> = systemClock,
): SignedHeaders {
  return serviceHeaders(signer, signer.address, content, clock);
}
