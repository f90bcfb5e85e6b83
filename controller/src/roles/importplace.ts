// Where the files of imported servers go: a work tree of branch main that a person commits, or branch main of a git host. What a person
// wrote is never written over.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { serverFileText } from '../clusterrepo/serverfile.ts';
import type { ServerConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { ownTemplate } from './configuration.ts';
import type { GitOptions } from './gitoptions.ts';
import { openRepository } from './repository.ts';

export interface ImportPlace {
  write(): Promise<void>;
  /** Takes back what `write` did, as far as nobody else has seen it. */
  undo(): Promise<void>;
  close(): Promise<void>;
  /** What was written, and what is left to do. */
  written: string;
}

/** Rejects with E-USAGE when a file is there with another text. */
export async function inFolder(dir: string, configs: readonly ServerConfig[]): Promise<ImportPlace> {
  const missing: [path: string, text: string][] = [];
  for (const config of configs) {
    const path = join(dir, 'servers', `${config.name}.yaml`);
    const text = serverFileText(undefined, config, path) ?? '';
    const existing = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new MinerError('E-USAGE', `${path} cannot be read: ${error.message}`);
    });
    if (existing === undefined) missing.push([path, text]);
    else if (existing !== text)
      throw new MinerError(
        'E-USAGE',
        `${path} is there already and says something else; move it away. Nothing was written`,
      );
  }
  const made: string[] = [];
  return {
    written: `${configs.length} files under ${join(dir, 'servers')}. Commit them to main before the miner starts.`,
    async write() {
      try {
        await mkdir(join(dir, 'servers'), { recursive: true });
        for (const [path, text] of missing) {
          await writeFile(path, text, { flag: 'wx' });
          made.push(path);
        }
      } catch (error) {
        throw new MinerError('E-USAGE', `the files of the servers cannot be written: ${messageOf(error)}`);
      }
    },
    async undo() {
      for (const path of made) await rm(path, { force: true });
    },
    close: async () => undefined,
  };
}

/**
 * Rejects with E-GIT-REPOSITORY while the host is away; `write` with E-CONFIG when a file is there and says something else. A push is
 * seen by others at once, so it is not taken back: another run finds the files as it would write them.
 */
export async function onHost(git: GitOptions, configs: readonly ServerConfig[]): Promise<ImportPlace> {
  const dir = await mkdtemp(join(tmpdir(), 'miner-import-'));
  const log = pino({ level: 'silent' });
  const removeCopy = () => rm(dir, { recursive: true, force: true });
  const copy = { dir: join(dir, 'copy.git'), template: ownTemplate, git, log, lookup: () => undefined };
  const repo = await openRepository(copy).catch(async (error: unknown) => {
    await removeCopy();
    throw error;
  });
  return {
    written: `${configs.length} files under servers/ on branch main of the git host.`,
    async write() {
      await repo.addServers(configs);
    },
    undo: async () => undefined,
    async close() {
      await repo.close();
      await removeCopy();
    },
  };
}
