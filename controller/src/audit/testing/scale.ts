// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// Reads a signed set_commitment transaction byte by byte, as the chain does, without the libraries that made it.

import { blake2b } from '@noble/hashes/blake2.js';
import { verify } from '@scure/sr25519';

export interface ChainFacts {
  specVersion: number;
  transactionVersion: number;
  /** Bytes, as all hashes here. */
  genesis: Uint8Array;
  /** Hash of the block that an era starts in. */
  eraBlock(era: Uint8Array): Uint8Array;
}

export interface Commit {
  publicKey: Uint8Array;
  nonce: number;
  netuid: number;
  /** Lower-case hex. */
  sha256: string;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Throws on anything but one well-formed, well-signed transaction. */
export function readCommit(transaction: Uint8Array, pallet: number, chain: ChainFacts): Commit {
  let rest = Buffer.from(transaction);
  function take(length: number): Buffer {
    if (rest.length < length) throw new Error('the transaction is too short');
    const part = rest.subarray(0, length);
    rest = rest.subarray(length);
    return part;
  }
  function expect(bytes: string, what: string): void {
    const found = take(bytes.length / 2).toString('hex');
    if (found !== bytes) throw new Error(`${what}: ${found}, not ${bytes}`);
  }
  function compact(): number {
    const first = rest[0] ?? 0;
    const mode = first & 3;
    if (mode === 0) return take(1).readUInt8() >> 2;
    if (mode === 1) return take(2).readUInt16LE() >> 2;
    if (mode === 2) return take(4).readUInt32LE() >>> 2;
    throw new Error('a number is too large');
  }

  const length = compact();
  if (length !== rest.length) throw new Error(`its length is ${rest.length}, not ${length}`);
  expect('84', 'version');
  expect('00', 'kind of address');
  const publicKey = take(32);
  expect('01', 'kind of signature');
  const signature = take(64);
  const extra = rest;
  const era = take((rest[0] ?? 0) === 0 ? 1 : 2);
  const nonce = compact();
  if (compact() !== 0) throw new Error('it gives a tip');
  expect('00', 'mode of the metadata hash');
  const extensions = extra.subarray(0, extra.length - rest.length);
  const call = rest;
  expect(Buffer.of(pallet, 0).toString('hex'), 'call');
  const netuid = take(2).readUInt16LE();
  expect('04', 'number of fields');
  expect('83', 'kind of data');
  const sha256 = take(32).toString('hex');
  if (rest.length > 0) throw new Error('more follows');
  const additional = [u32(chain.specVersion), u32(chain.transactionVersion), chain.genesis, chain.eraBlock(era)];
  const payload = Buffer.concat([call, extensions, ...additional, Buffer.of(0)]);
  const signed = payload.length > 256 ? blake2b(payload, { dkLen: 32 }) : payload;
  if (!verify(signed, signature, publicKey)) throw new Error('the signature does not fit');
  return { publicKey, nonce, netuid, sha256 };
}
