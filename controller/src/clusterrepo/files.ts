// Files that are either whole or absent, also after a crash.

import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A flushed temporary file beside `path`; `prefix` is one that git itself clears away when it is left over. */
async function writeTemporary(path: string, content: Buffer, prefix: string, mode: number): Promise<string> {
  const temporary = join(dirname(path), `${prefix}${randomBytes(6).toString('hex')}`);
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

/** Write, flush, rename. A reader sees the old content or the new one. */
export async function writeWhole(
  path: string,
  content: Buffer,
  { prefix = 'tmp_', mode = 0o644 }: { prefix?: string; mode?: number } = {},
): Promise<void> {
  let temporary: string;
  try {
    temporary = await writeTemporary(path, content, prefix, mode);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await mkdir(dirname(path), { recursive: true });
    temporary = await writeTemporary(path, content, prefix, mode);
  }
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
