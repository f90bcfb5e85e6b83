// What a killed process leaves in a store that nobody else uses: locks, temporary files, packs without their index. None of it is
// referred to by anything.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const left = /\.lock$|^\.?tmp[_-]|^stale-lock-/;

async function clearFolder(folder: string, deep: boolean): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = new Set(entries.map(({ name }) => name));
  for (const entry of entries) {
    const { name } = entry;
    const path = join(folder, name);
    const isUnnamedPack = name.endsWith('.pack') && !names.has(name.replace(/pack$/, 'idx'));
    if (left.test(name) || isUnnamedPack) await rm(path, { recursive: true, force: true });
    else if (deep && entry.isDirectory()) await clearFolder(path, true);
  }
}

/** For the only process that uses the store, before it does. */
export async function clearRemains(gitdir: string): Promise<void> {
  await clearFolder(gitdir, false);
  for (const folder of ['refs', 'objects']) await clearFolder(join(gitdir, folder), true);
}
