// The folder of a demo run: keys, the cluster repository's template, and what a second run in the same folder needs to go on.
// One demo at a time per folder: `demo.lock` names the one that runs.

import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MinerError } from '@miner/controller/domain/errors.ts';
import { createSigner, type Signer } from '@miner/controller/signing/sr25519.ts';
import { takeLock } from '@miner/controller/store/lock.ts';
import { z } from 'zod';

const template = fileURLToPath(new URL('../../../cluster-repo-template', import.meta.url));
const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

const runState = z.object({
  seed: z.int(),
  servers: z.int(),
  speed: z.number(),
  /** First three parts of the servers' loopback addresses, for example `127.44.7`. */
  addressBase: z.string(),
  ports: z.object({ api: z.int(), validator: z.int(), cluster: z.int() }),
  /** Simulated time of the first start, ms since the Unix epoch. */
  startedAt: z.number(),
  /** Simulated time when it was last written, ms since the Unix epoch. */
  simulatedAt: z.number(),
});
export type RunState = z.infer<typeof runState>;

export interface DemoFolder {
  path: string;
  hotkeyFile: string;
  miner: Signer;
  validator: Signer & { seed: string };
  /** What an earlier run left; undefined in a new folder. */
  earlier: RunState | undefined;
  save(state: RunState): void;
  /** Folder that the cluster repository is made from. */
  template: string;
  repository: string;
  writeMinerYaml(text: string): void;
  release(): Promise<void>;
}

async function lockFolder(path: string): Promise<() => Promise<void>> {
  try {
    return await takeLock(join(path, 'demo.lock'));
  } catch (error) {
    if (!(error instanceof MinerError) || error.code !== 'E-IN-USE') throw error;
    const holder = error.detail?.pid;
    throw new MinerError(
      'E-IN-USE',
      `${path} is in use by the demo with process id ${holder}; stop it or choose another --dir`,
    );
  }
}

/** A bittensor wallet file of a fresh key, readable by its owner only. */
function keyFile(path: string): Signer & { seed: string } {
  if (!existsSync(path)) {
    const seed = randomBytes(32).toString('hex');
    const { address } = createSigner(Buffer.from(seed, 'hex'));
    writeFileSync(path, `${JSON.stringify({ ss58Address: address, secretSeed: `0x${seed}` })}\n`, { mode: 0o600 });
  }
  const seed: string = JSON.parse(readFileSync(path, 'utf8')).secretSeed.slice(2);
  return { ...createSigner(Buffer.from(seed, 'hex')), seed };
}

/** Rejects with E-IN-USE while another demo runs in the folder. */
export async function openFolder(dir: string | undefined): Promise<DemoFolder> {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').slice(0, 15);
  const path = resolve(dir ?? join(repositoryRoot, '.demo', stamp));
  mkdirSync(path, { recursive: true });
  const release = await lockFolder(path);
  const stateFile = join(path, 'demo.json');
  const copy = join(path, 'template');
  if (!existsSync(copy)) cpSync(template, copy, { recursive: true });
  const hotkeyFile = join(path, 'miner-hotkey');
  return {
    path,
    hotkeyFile,
    miner: keyFile(hotkeyFile),
    validator: keyFile(join(path, 'validator-hotkey')),
    earlier: existsSync(stateFile) ? runState.parse(JSON.parse(readFileSync(stateFile, 'utf8'))) : undefined,
    save(state) {
      writeFileSync(`${stateFile}.new`, JSON.stringify(state));
      renameSync(`${stateFile}.new`, stateFile);
    },
    template: copy,
    repository: join(path, 'repository.git'),
    writeMinerYaml: (text) => writeFileSync(join(copy, 'miner.yaml'), text),
    release,
  };
}
