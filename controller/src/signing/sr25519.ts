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
  /** Signature over the bytes, a text's in UTF-8: 128 lower-case hex digits without `0x`. Throws after `close`. */
  sign(message: string | Uint8Array): string;
  /** Overwrite the secret with zeros, when whoever signs ends. May be called again. */
  close(): void;
}

/** The secret stays in the closure, so printing a signer shows none of it. `secret` is the engine's form, and now the signer's own. */
function signerOf(publicKey: Uint8Array, secret: Uint8Array): Signer {
  let closed = false;
  function sign(message: string | Uint8Array): string {
    if (closed) throw new Error('the signer is closed: its key was wiped');
    return Buffer.from(sr25519Sign(publicKey, secret, Buffer.from(message))).toString('hex');
  }
  function close(): void {
    closed = true;
    secret.fill(0);
  }
  return { address: encodeAddress(publicKey), publicKey, sign, close };
}

/** A signer from the 32-byte mini secret. The seed given is copied, wiping it is up to the caller. */
export function createSigner(seed: Uint8Array): Signer {
  const pair = sr25519KeypairFromSeed(seed);
  const secret = pair.slice(0, 64);
  const publicKey = pair.slice(64);
  pair.fill(0);
  return signerOf(publicKey, secret);
}

/** Eight times a little-endian number below 2^253, in place. */
function timesEight(bytes: Uint8Array): void {
  let carry = 0;
  for (const [i, byte] of bytes.entries()) {
    bytes[i] = ((byte << 3) | carry) & 0xff;
    carry = byte >> 5;
  }
}

/**
 * A signer from an expanded secret as wallets store it: 32 bytes of scalar and 32 of nonce, the scalar reduced (schnorrkel's own form). The
 * engine reads the Ed25519 form, whose scalar is eight times as large. Undefined when the secret is not that of the public key. The secret
 * given is copied, wiping it is up to the caller.
 */
export function createSignerFromExpanded(expanded: Uint8Array, publicKey: Uint8Array): Signer | undefined {
  if (expanded.length !== 64 || publicKey.length !== 32 || (expanded[31] ?? 0) >= 0x20) return undefined;
  const secret = Uint8Array.from(expanded);
  timesEight(secret.subarray(0, 32));
  const signer = signerOf(Uint8Array.from(publicKey), secret);
  const probe = 'does this secret belong to that public key?';
  try {
    // The key is part of what is signed: with another secret the signature does not fit.
    if (verifySignature(Buffer.from(signer.sign(probe), 'hex'), probe, publicKey)) return signer;
  } catch {
    // The engine refuses a scalar beyond the order of the group.
  }
  signer.close();
  return undefined;
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
