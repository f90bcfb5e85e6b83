// The empty PostgreSQL cluster that PGlite ships, unpacked here: 0.4 s where initdb takes 5 s, and opening it once instead of twice.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { dataDir } from '@electric-sql/pglite-prepopulatedfs';
import { MinerError } from '../domain/errors.ts';

const block = 512;

interface Entry {
  name: string;
  kind: 'file' | 'folder';
  content: Buffer;
}

function field(header: Buffer, from: number, length: number): string {
  const text = header.toString('latin1', from, from + length);
  return text.split('\0', 1)[0] ?? '';
}

/** The entries of a tar archive (ustar) of plain files and folders. Throws E-STORE on anything else. */
export function* readTar(archive: Buffer): Generator<Entry> {
  for (let at = 0; at + block <= archive.length && archive[at] !== 0; ) {
    const header = archive.subarray(at, at + block);
    const name = [field(header, 345, 155), field(header, 0, 100)].filter(Boolean).join('/');
    const size = Number.parseInt(field(header, 124, 12) || '0', 8);
    const type = field(header, 156, 1);
    const content = archive.subarray(at + block, at + block + size);
    if (!['', '0', '5'].includes(type) || content.length !== size || name.split('/').includes('..')) {
      throw new MinerError('E-STORE', `the template of a new store is damaged at "${name}"`);
    }
    yield { name, kind: type === '5' ? 'folder' : 'file', content };
    at += block + Math.ceil(size / block) * block;
  }
}

/** Make `dir` an empty cluster. Folders come before their files in the archive. Blocks: waiting for each of 1,000 files is 4 times slower. */
export async function unpackTemplate(dir: string): Promise<void> {
  const packed = await dataDir();
  const archive = gunzipSync(Buffer.from(await packed.arrayBuffer()));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const { name, kind, content } of readTar(archive)) {
    const path = join(dir, name);
    if (kind === 'folder') mkdirSync(path, { recursive: true, mode: 0o700 });
    else writeFileSync(path, content, { mode: 0o600 });
  }
}
