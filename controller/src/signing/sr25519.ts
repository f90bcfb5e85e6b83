// sr25519 over raw messages (signing context `substrate`). Signatures are randomised: verify them, never compare them.
// Why this engine: docs/decisions/0002-sr25519-engine.md.

import { createRequire } from 'node:module';
import type * as WasmCrypto from '@polkadot/wasm-crypto';
import { encodeAddress } from './ss58.ts';

// The CommonJS build loads in 0.2 s, the ES modules in 0.5 s.
const wasm: typeof WasmCrypto = createRequire(import.meta.url)('@polkadot/wasm-crypto');
const { sr25519KeypairFromSeed, sr25519Sign, sr25519Verify } = wasm;

await wasm.waitReady();

export interface Signer {
  /** ss58 address of the key. */
  readonly address: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Signature over the UTF-8 bytes, 128 lower-case hex digits without `0x`. */
  sign(message: string): string;
}

/** A signer from the 32-byte mini secret. The secret stays in the closure, so printing a signer shows none of it. */
export function createSigner(seed: Uint8Array): Signer {
  const pair = sr25519KeypairFromSeed(seed);
  const secret = pair.slice(0, 64);
  const publicKey = pair.slice(64);
  function sign(message: string): string {
    return Buffer.from(sr25519Sign(publicKey, secret, Buffer.from(message))).toString('hex');
  }
  return { address: encodeAddress(publicKey), publicKey, sign };
}

/** False for anything but a valid signature of the message by that key. Never throws. */
export function verifySignature(signature: Uint8Array, message: string, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  try {
    return sr25519Verify(signature, Buffer.from(message), publicKey);
  } catch {
    return false;
  }
}
