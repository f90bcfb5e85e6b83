// Files that are either whole or absent, also after a crash.

import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A flushed temporary file; `prefix` is one that git itself clears away when it is left over. */
async function writeTemporary(folder: string, content: Buffer, prefix: string, mode: number): Promise<string> {
  const temporary = join(folder, `${prefix}${randomBytes(6).toString('hex')}`);
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    // A full disk must not fill up with empty files as well.
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return temporary;
}

export interface WriteOptions {
  prefix?: string;
  mode?: number;
  /** Where it is written before it gets its name, on the same file system. Default: beside it. */
  folder?: string;
}

/** Write, flush, rename. A reader sees the old content or the new one. */
export async function writeWhole(path: string, content: Buffer, options: WriteOptions = {}): Promise<void> {
  const { prefix = 'tmp_', mode = 0o644, folder = dirname(path) } = options;
  async function write(): Promise<void> {
    const temporary = await writeTemporary(folder, content, prefix, mode);
    try {
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
  try {
    await write();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await mkdir(dirname(path), { recursive: true });
    await write();
  }
}

/** A ref outside refs/heads, wherever it was before. Git takes every file below `refs` for one, so a half-written one lies elsewhere. */
export async function writeRef(gitdir: string, ref: string, commit: string): Promise<void> {
  await writeWhole(join(gitdir, ref), Buffer.from(`${commit}\n`), { folder: gitdir });
}
