// Reads a hotkey file (bittensor wallet JSON) into a Signer. No message, cause or detail ever holds what the file contains.

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import { createSigner, type Signer } from './sr25519.ts';
import { decodeAddress } from './ss58.ts';

const walletFile = z.object({ ss58Address: z.string().optional(), secretSeed: z.string().nullish() });

function reject(path: string, problem: string): MinerError {
  return new MinerError('E-HOTKEY', `hotkey file ${path} ${problem}`, { detail: { path } });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw reject(path, `cannot be read (${code})`);
  }
}

function parseWallet(path: string, text: string): z.infer<typeof walletFile> {
  // The parser's own messages quote the text, so they are not passed on.
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw reject(path, 'is not JSON; an encrypted wallet must be exported without a password');
  }
  const wallet = walletFile.safeParse(content);
  if (!wallet.success) throw reject(path, 'is not a wallet: it must be an object with ss58Address and secretSeed');
  return wallet.data;
}

/**
 * Load the key that signs for the miner (protocol.md 1.5). Rejects with E-HOTKEY when the file cannot be read, has no secretSeed (a key made
 * from a URI such as //Alice is written without one), or when the seed is not that of its ss58Address.
 */
export async function loadHotkey(path: string): Promise<Signer> {
  const { ss58Address, secretSeed } = parseWallet(path, await readText(path));
  if (!ss58Address) throw reject(path, 'has no ss58Address');
  if (!decodeAddress(ss58Address)) throw reject(path, 'has an ss58Address that is not a valid address of format 42');
  if (!secretSeed) {
    throw reject(
      path,
      'has no secretSeed; keys made from a URI such as //Alice are stored without it: create the key anew',
    );
  }
  const seed = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(secretSeed)?.[1];
  if (!seed) throw reject(path, 'has a secretSeed that is not 64 hex digits');
  const signer = createSigner(Buffer.from(seed, 'hex'));
  if (signer.address !== ss58Address) {
    throw reject(path, `has a secretSeed of ${signer.address}, but its ss58Address is ${ss58Address}`);
  }
  return signer;
}
