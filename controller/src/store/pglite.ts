// PGlite in a folder, for one process. Survives kill -9 with every acknowledged row; it does not call fsync, so a power cut may cost
// the newest rows: what must survive that is in git, and larger installations use PostgreSQL.

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { MinerError } from '../domain/errors.ts';
import { type Database, migrationsFolder, type OpenDatabase } from './database.ts';
import { pgliteDriver } from './drizzle.ts';
import { takeLock } from './lock.ts';
import { unpackTemplate } from './template.ts';

function isMissing(dir: string): boolean {
  return !existsSync(dir) || readdirSync(dir).length === 0;
}

/** A start that dies here leaves only the `.new` folder, which the next one throws away. */
async function create(dir: string): Promise<void> {
  const unfinished = `${dir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await unpackTemplate(unfinished);
  await rename(unfinished, dir);
}

/** Opens or makes the store in `folder`. Rejects with E-IN-USE while another process, or this one, has it open. */
export async function openFolder(folder: string): Promise<OpenDatabase> {
  const dir = resolve(folder);
  await mkdir(dirname(dir), { recursive: true });
  const release = await takeLock(`${dir}.lock`);
  let client: PGlite | undefined;
  try {
    if (isMissing(dir)) await create(dir);
    if (!existsSync(join(dir, 'PG_VERSION')))
      throw new MinerError('E-STORE', `folder ${dir} holds something else than a store`);
    client = new PGlite({ dataDir: dir, relaxedDurability: false });
    await client.waitReady;
    const { drizzle, migrate } = pgliteDriver();
    const db = drizzle(client);
    await migrate(db, { migrationsFolder });
    return { db: db satisfies Database, close: closing(client, release) };
  } catch (error) {
    await client?.close().catch(() => undefined);
    await release();
    throw error;
  }
}

function closing(client: PGlite, release: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= client.close().finally(release);
    return closed;
  };
}
