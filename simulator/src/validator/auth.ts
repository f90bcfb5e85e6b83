// Who is asking: the validator's rules for signed requests (protocol.md 1.2 to 1.4), and its own signature on requests to a node.
// Nonces are checked against the wall clock, whatever clock the simulation runs on.

import { createHash } from 'node:crypto';
import { type SimulatedHotkey, verifySignature } from '../sr25519.ts';

const windowSeconds = 600;
/** Every purpose of protocol.md 1.3, to tell a wrong one from a wrong signature. */
const purposes = [
  'sockets',
  'registry',
  'miner',
  'launch',
  'instances',
  'nodes',
  'graval',
  'tee',
  'chutes',
  'management',
  'kubeconfig',
  'registration',
  'monitoring',
  'attest',
];

export interface Credentials {
  hotkey: string;
  nonce: string;
  signature: string;
}

/** The three headers; undefined when the set is incomplete. Names are matched as they are given. */
export function credentialsOf(headers: Record<string, unknown>, names: readonly string[]): Credentials | undefined {
  const [hotkey, nonce, signature] = names.map((name) => headers[name]);
  if (typeof hotkey !== 'string' || typeof nonce !== 'string' || typeof signature !== 'string') return undefined;
  return hotkey && nonce && signature ? { hotkey, nonce, signature } : undefined;
}

export const httpNames = ['x-chutes-hotkey', 'x-chutes-nonce', 'x-chutes-signature'];
export const socketNames = ['X-Chutes-Hotkey', 'X-Chutes-Nonce', 'X-Chutes-Signature'];

export function bodyHash(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

function signedBy({ hotkey, nonce, signature }: Credentials, tail: string): boolean {
  return verifySignature(hotkey, new TextEncoder().encode(`${hotkey}:${nonce}:${tail}`), signature);
}

export interface Verdict {
  ok: boolean;
  /** What the request was signed for instead, if the signature is good for another purpose. */
  wrongTail?: string;
}

/** Check one request. `tail` is the purpose of the route, or the hash of the exact body bytes for routes without one. */
export function checkRequest(
  credentials: Credentials | undefined,
  tail: string,
  { registered, body, nowMs = Date.now() }: { registered: ReadonlySet<string>; body?: Uint8Array; nowMs?: number },
): Verdict {
  if (!credentials || !registered.has(credentials.hotkey)) return { ok: false };
  const { nonce } = credentials;
  if (!/^[0-9]{1,15}$/.test(nonce) || Math.abs(nowMs / 1000 - Number(nonce)) >= windowSeconds) return { ok: false };
  if (signedBy(credentials, tail)) return { ok: true };
  const others = [...purposes, bodyHash(body ?? new Uint8Array())];
  const wrongTail = others.find((other) => other !== tail && signedBy(credentials, other));
  return wrongTail === undefined ? { ok: false } : { ok: false, wrongTail };
}

/** Headers of a request from the validator to a miner's node: four-part string, `tail` is a purpose or a body hash. */
export function nodeHeaders(validator: SimulatedHotkey, miner: string, tail: string): Record<string, string> {
  const nonce = String(Math.floor(Date.now() / 1000));
  return {
    'X-Chutes-Miner': miner,
    'X-Chutes-Validator': validator.ss58,
    'X-Chutes-Nonce': nonce,
    'X-Chutes-Signature': validator.sign(`${miner}:${validator.ss58}:${nonce}:${tail}`),
  };
}
