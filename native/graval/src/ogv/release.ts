// Sealing a text to the session that was proven (graval.md 6.4, step 7): X25519, HKDF-SHA256, AES-256-GCM bound to the transcript.
// Only the prover that put its key into the challenge, and only for this audit, can open it.

import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { GravalError } from '../backend.ts';

export interface KeyPair {
  privateKey: KeyObject;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

const spki = Buffer.from('302a300506032b656e032100', 'hex');
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

function rawOf(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' }).subarray(spki.length);
}

export function newKeyPair(): KeyPair {
  const pair = generateKeyPairSync('x25519');
  return { privateKey: pair.privateKey, publicKey: rawOf(pair.publicKey) };
}

/** From 32 raw bytes. */
export function keyPairFrom(secret: Uint8Array): KeyPair {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8, secret]), format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: rawOf(createPublicKey(privateKey)) };
}

function agree(own: KeyObject, other: Uint8Array): Buffer {
  const publicKey = createPublicKey({ key: Buffer.concat([spki, other]), format: 'der', type: 'spki' });
  const shared = diffieHellman({ privateKey: own, publicKey });
  if (shared.every((byte) => byte === 0))
    throw new GravalError('BAD_INPUT', 'the key of the other side is a weak point');
  return shared;
}

export function releaseKey(
  shared: Uint8Array,
  transcript: Uint8Array,
  pkV: Uint8Array,
  pkM: Uint8Array,
  purpose: string,
) {
  const info = Buffer.concat([Buffer.from('ogv1/rel\0'), pkV, pkM, Buffer.from(purpose, 'utf8')]);
  return new Uint8Array(hkdfSync('sha256', shared, transcript, info, 32));
}

/** base64(pk_v ‖ nonce ‖ ciphertext ‖ tag). `pkM`: 32 bytes. `fixed` is for recorded values only. */
export function seal(
  text: string,
  session: { transcript: Uint8Array; pkM: Uint8Array; purpose: string },
  fixed: { pair?: KeyPair; nonce?: Uint8Array } = {},
): string {
  const pair = fixed.pair ?? newKeyPair();
  const nonce = fixed.nonce ?? randomBytes(12);
  const { transcript, pkM, purpose } = session;
  const key = releaseKey(agree(pair.privateKey, pkM), transcript, pair.publicKey, pkM, purpose);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(transcript);
  const sealed = [cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([pair.publicKey, nonce, ...sealed]).toString('base64');
}

/** Throws DECRYPT_FAILED for another session, audit or purpose, and for anything altered. */
export function unseal(wire: string, session: { transcript: Uint8Array; pair: KeyPair; purpose: string }): string {
  const bytes = Buffer.from(wire, 'base64');
  const refuse = (cause?: unknown) =>
    new GravalError('DECRYPT_FAILED', 'the text was not sealed for this session', { cause });
  if (bytes.length < 60) throw refuse();
  const { transcript, pair, purpose } = session;
  const pkV = bytes.subarray(0, 32);
  try {
    const key = releaseKey(agree(pair.privateKey, pkV), transcript, pkV, pair.publicKey, purpose);
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(32, 44)).setAAD(transcript);
    decipher.setAuthTag(bytes.subarray(-16));
    return decipher.update(bytes.subarray(44, -16), undefined, 'utf8') + decipher.final('utf8');
  } catch (error) {
    throw refuse(error);
  }
}
