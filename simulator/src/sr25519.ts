// Hotkeys as the stand-ins need them. The engine is the miner's own (controller/src/signing), because thousands of requests are checked
// here; that it agrees with other implementations is shown by the recorded vectors and by a cross-check with @scure/sr25519 in the test.

import { createSigner, verifySignature as verify } from '@miner/controller/signing/sr25519.ts';
import { decodeAddress } from '@miner/controller/signing/ss58.ts';

const text = new TextDecoder('utf-8', { fatal: true });

/** True if `signatureHex` (128 hex digits, no `0x`) is a signature of `message` (UTF-8) by the key of address `ss58`. Never throws. */
export function verifySignature(ss58: string, message: Uint8Array, signatureHex: string): boolean {
  if (!/^[0-9a-fA-F]{128}$/.test(signatureHex)) return false;
  const publicKey = decodeAddress(ss58);
  if (!publicKey) return false;
  try {
    return verify(Buffer.from(signatureHex, 'hex'), text.decode(message), publicKey);
  } catch {
    return false;
  }
}

export interface SimulatedHotkey {
  ss58: string;
  /** 128 hex digits; signs the UTF-8 bytes of a string. Randomised: two calls give two signatures. */
  sign(message: string): string;
}

/** Key pair of a 32-byte seed given as 64 hex digits. */
export function hotkeyFromSeed(seedHex: string): SimulatedHotkey {
  const { address, sign } = createSigner(Buffer.from(seedHex, 'hex'));
  return { ss58: address, sign };
}
