// What both drivers give: a drizzle database, migrated, and the way to close it.

import { fileURLToPath } from 'node:url';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import type { CallLimit } from './deadline.ts';

export type Database = PgDatabase<PgQueryResultHKT>;

export interface OpenDatabase {
  db: Database;
  /** May be called more than once. */
  close(): Promise<void>;
  /** Absent where nothing is remote and so nothing can keep silent. */
  limit?: CallLimit;
}

export const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
