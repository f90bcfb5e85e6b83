// ss58 addresses of the generic Substrate network (format 42): 32-byte public keys with a two-byte checksum, in base58.

import { blake2b } from '@noble/hashes/blake2.js';
import { base58 } from '@scure/base';

const format = 42;
const checksumPrefix = new TextEncoder().encode('SS58PRE');

function checksum(prefixed: Uint8Array): Uint8Array {
  return blake2b(Buffer.concat([checksumPrefix, prefixed]), { dkLen: 64 }).subarray(0, 2);
}

/** The address of a 32-byte public key. Throws a RangeError on another length. */
export function encodeAddress(publicKey: Uint8Array): string {
  if (publicKey.length !== 32) throw new RangeError(`a public key has 32 bytes, not ${publicKey.length}`);
  const prefixed = Uint8Array.of(format, ...publicKey);
  return base58.encode(Buffer.concat([prefixed, checksum(prefixed)]));
}

/** The public key of an address; undefined for wrong characters, length, format or checksum. Never throws. */
export function decodeAddress(address: string): Uint8Array | undefined {
  // Base58 takes quadratic time: the length is checked before, not after.
  if (address.length < 47 || address.length > 48 || !/^[1-9A-HJ-NP-Za-km-z]+$/.test(address)) return undefined;
  const bytes = base58.decode(address);
  if (bytes.length !== 35 || bytes[0] !== format) return undefined;
  const sum = checksum(bytes.subarray(0, 33));
  return sum[0] === bytes[33] && sum[1] === bytes[34] ? bytes.slice(1, 33) : undefined;
}
