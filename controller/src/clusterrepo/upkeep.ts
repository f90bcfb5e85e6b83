// Keeps the store of objects small: loose objects into packs, few packs, and what no branch names any more away. Runs only while no
// commit is being made.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MinerError } from '../domain/errors.ts';
import type { GitProgram } from './program.ts';
import type { Queue } from './queue.ts';

export interface UpkeepOptions {
  git: GitProgram;
  alone: Queue;
  /** Nobody else writes this store, so nothing in it waits to be named by a branch. */
  own: boolean;
  limits?: { loose: number; packs: number } | undefined;
}

export interface Upkeep {
  /** Pack when there are too many files; true when it did. Rejects with E-GIT-REPOSITORY. */
  tidy(): Promise<boolean>;
  /** Drop what is not named any more, after history was shortened. Rejects with E-GIT-REPOSITORY. */
  clean(): Promise<void>;
}

const defaultLimits = { loose: 2_000, packs: 40 };
const repackTimeoutMs = 300_000;

async function countFiles(gitdir: string): Promise<{ loose: number; packs: number }> {
  let [loose, packs] = [0, 0];
  for (const name of await readdir(join(gitdir, 'objects'))) {
    if (!/^([0-9a-f]{2}|pack)$/.test(name)) continue;
    const files = await readdir(join(gitdir, 'objects', name));
    if (name === 'pack') packs = files.filter((file) => file.endsWith('.pack')).length;
    else loose += files.length;
  }
  return { loose, packs };
}

export function createUpkeep({ git, alone, own, limits = defaultLimits }: UpkeepOptions): Upkeep {
  async function run(args: readonly string[]): Promise<void> {
    const result = await git.run(args, repackTimeoutMs);
    if (result.code === 0) return;
    throw new MinerError('E-GIT-REPOSITORY', `${git.gitdir} cannot be packed: ${await git.reasonOf(result)}`);
  }
  return {
    async tidy() {
      const { loose, packs } = await countFiles(git.gitdir);
      if (loose <= limits.loose && packs <= limits.packs) return false;
      await alone(() => run(['repack', '-d', '-q', '--geometric=2']));
      return true;
    },
    clean: () => alone(() => run(['gc', '--quiet', ...(own ? ['--prune=now'] : [])])),
  };
}
