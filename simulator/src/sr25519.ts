// Hotkeys as the network uses them: ss58 addresses (format 42) and sr25519 signatures over raw bytes, context `substrate`
// (protocol.md 1.5). For stand-ins only: the product signs in controller/src/signing.

import { blake2b } from '@noble/hashes/blake2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base58 } from '@scure/base';
import * as sr25519 from '@scure/sr25519';

const format = 42;
const checksumPrefix = new TextEncoder().encode('SS58PRE');

function checksum(body: Uint8Array): Uint8Array {
  return blake2b.create({ dkLen: 64 }).update(checksumPrefix).update(body).digest().subarray(0, 2);
}

/** Address of a 32-byte public key. */
export function encodeSs58(publicKey: Uint8Array): string {
  const body = new Uint8Array([format, ...publicKey]);
  return base58.encode(new Uint8Array([...body, ...checksum(body)]));
}

/** The 32-byte public key of an address; undefined when the text is no valid address of format 42. */
export function decodeSs58(address: string): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(address);
  } catch {
    return undefined;
  }
  if (bytes.length !== 35 || bytes[0] !== format) return undefined;
  const sum = checksum(bytes.subarray(0, 33));
  return bytes[33] === sum[0] && bytes[34] === sum[1] ? bytes.slice(1, 33) : undefined;
}

/** True if `signatureHex` (128 hex digits, no `0x`) is a signature of `message` by the key of address `ss58`. Never throws. */
export function verifySignature(ss58: string, message: Uint8Array, signatureHex: string): boolean {
  if (!/^[0-9a-fA-F]{128}$/.test(signatureHex)) return false;
  const publicKey = decodeSs58(ss58);
  if (!publicKey) return false;
  try {
    return sr25519.verify(message, hexToBytes(signatureHex), publicKey);
  } catch {
    return false;
  }
}

export interface SimulatedHotkey {
  ss58: string;
  /** 128 hex digits; signs the UTF-8 bytes of a string. Randomised: two calls give two signatures. */
  sign(message: string | Uint8Array): string;
}

/** Key pair of a 32-byte seed given as 64 hex digits. */
export function hotkeyFromSeed(seedHex: string): SimulatedHotkey {
  const secret = sr25519.secretFromSeed(hexToBytes(seedHex));
  return {
    ss58: encodeSs58(sr25519.getPublicKey(secret)),
    sign(message) {
      const bytes = typeof message === 'string' ? new TextEncoder().encode(message) : message;
      return bytesToHex(sr25519.sign(secret, bytes));
    },
  };
}
