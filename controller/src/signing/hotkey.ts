// Reads a hotkey file (bittensor wallet JSON) into a Signer. No message, cause or detail ever holds what the file contains. Buffers with
// key material are overwritten; the text that JSON is parsed from is left to the garbage collector.

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import { createSigner, createSignerFromExpanded, type Signer } from './sr25519.ts';
import { decodeAddress } from './ss58.ts';

const walletFile = z.object({
  ss58Address: z.string().optional(),
  secretSeed: z.string().nullish(),
  privateKey: z.string().nullish(),
  cryptoType: z.number().nullish(),
});
type Wallet = z.infer<typeof walletFile>;

/** sr25519, as wallets number the key kinds. */
const sr25519Type = 1;
/** How files written with a password begin: current wallets, and two forms of older ones. */
const encryptedBeginnings = ['$NACL', '$ANSIBLE_VAULT', 'gAAAAA'];

function reject(path: string, problem: string): MinerError {
  return new MinerError('E-HOTKEY', `hotkey file ${path} ${problem}`, { detail: { path } });
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    const text = bytes.toString('utf8');
    bytes.fill(0);
    return text;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw reject(path, `cannot be read (${code})`);
  }
}

function parseWallet(path: string, text: string): Wallet {
  if (encryptedBeginnings.some((beginning) => text.startsWith(beginning))) {
    throw reject(path, 'is encrypted; write the hotkey without a password');
  }
  // The parser's own messages quote the text, so they are not passed on.
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw reject(path, 'is not JSON; it must be the wallet file of a hotkey, written without a password');
  }
  const wallet = walletFile.safeParse(content);
  if (!wallet.success) {
    throw reject(path, 'is not a wallet: it must be an object with ss58Address and secretSeed or privateKey');
  }
  return wallet.data;
}

/** The bytes of `0x` and so many hex digits, the prefix may be missing. */
function bytesOf(path: string, field: string, text: string, length: number): Buffer {
  const hex = new RegExp(`^(?:0x)?([0-9a-fA-F]{${2 * length}})$`).exec(text)?.[1];
  if (!hex) throw reject(path, `has a ${field} that is not ${2 * length} hex digits`);
  return Buffer.from(hex, 'hex');
}

function fromSeed(path: string, address: string, text: string): Signer {
  const seed = bytesOf(path, 'secretSeed', text, 32);
  const signer = createSigner(seed);
  seed.fill(0);
  if (signer.address === address) return signer;
  signer.close();
  throw reject(path, `has a secretSeed of ${signer.address}, but its ss58Address is ${address}`);
}

function fromPrivateKey(path: string, address: string, publicKey: Uint8Array, text: string): Signer {
  const expanded = bytesOf(path, 'privateKey', text, 64);
  const signer = createSignerFromExpanded(expanded, publicKey);
  expanded.fill(0);
  if (!signer) throw reject(path, `has a privateKey that is not that of its ss58Address ${address}`);
  return signer;
}

/**
 * Load the key that signs for the miner (protocol.md 1.5): from `secretSeed` or, where a wallet has none (keys made from a URI such as
 * //Alice), from `privateKey`. Rejects with E-HOTKEY when the file cannot be read, is encrypted, holds neither, or when its key is not that
 * of its ss58Address.
 */
export async function loadHotkey(path: string): Promise<Signer> {
  const { ss58Address, secretSeed, privateKey, cryptoType } = parseWallet(path, await readText(path));
  if (!ss58Address) throw reject(path, 'has no ss58Address');
  const publicKey = decodeAddress(ss58Address);
  if (!publicKey) throw reject(path, 'has an ss58Address that is not a valid address of format 42');
  if (typeof cryptoType === 'number' && cryptoType !== sr25519Type) {
    throw reject(path, `has cryptoType ${cryptoType}; allowed: ${sr25519Type} (sr25519)`);
  }
  if (secretSeed) return fromSeed(path, ss58Address, secretSeed);
  if (privateKey) return fromPrivateKey(path, ss58Address, publicKey, privateKey);
  throw reject(
    path,
    'has neither secretSeed nor privateKey; it must be the file of the hotkey, not of its public part',
  );
}
