// Opens the store: in PostgreSQL, or in a folder where PGlite serves this one process. Only the driver that is used is loaded.

import { MinerError } from '../domain/errors.ts';
import type { Store } from '../domain/ports.ts';
import type { OpenDatabase } from './database.ts';
import { storeError } from './failures.ts';
import type { PostgresLimits } from './postgres.ts';
import { storeOn } from './store.ts';

/** `url`: `postgres://user:password@host:port/database`. `dir`: a folder, made if it does not exist. */
export type StoreLocation =
  | { url: string; limits?: Partial<PostgresLimits>; dir?: undefined }
  | { dir: string; url?: undefined };

/** The database at `location`, with all migrations applied. Rejects like `openStore`. */
export async function openDatabase(location: StoreLocation): Promise<OpenDatabase> {
  try {
    if (location.url !== undefined)
      return await (await import('./postgres.ts')).openPostgres(location.url, location.limits);
    return await (await import('./pglite.ts')).openFolder(location.dir);
  } catch (error) {
    throw storeError(`open ${nameOf(location)}`, error);
  }
}

/**
 * The store at `location`; several processes may share a PostgreSQL, a folder belongs to one. Rejects with E-IN-USE when another
 * process has the folder, E-STORE when the database cannot be reached, read or migrated.
 */
export async function openStore(location: StoreLocation): Promise<Store> {
  return storeOn(await openDatabase(location));
}

/** Without user and password. */
function nameOf({ url, dir }: StoreLocation): string {
  if (url === undefined) return `folder ${dir}`;
  if (!URL.canParse(url))
    throw new MinerError('E-STORE', 'the database URL is not of the form postgres://host/database');
  const { host, pathname } = new URL(url);
  return `database ${host}${pathname}`;
}
