// drizzle-orm, loaded as CommonJS. As ES modules its 102 files take 1.1 s to load, because each one makes Node read the package's
// `exports` map of 180 kB again; this way it is 0.2 s. Everything here imports drizzle from this file, types excepted.

import { createRequire } from 'node:module';
import type * as Orm from 'drizzle-orm';
import type * as PgCore from 'drizzle-orm/pg-core';
import type * as Pglite from 'drizzle-orm/pglite';
import type * as PgliteMigrator from 'drizzle-orm/pglite/migrator';
import type * as Postgres from 'drizzle-orm/postgres-js';
import type * as PostgresMigrator from 'drizzle-orm/postgres-js/migrator';

const load = createRequire(import.meta.url);

export const { and, asc, desc, eq, getTableColumns, gt, is, isNull, lt, notExists, or, sql }: typeof Orm =
  load('drizzle-orm');
export const {
  bigint,
  boolean,
  customType,
  doublePrecision,
  getTableConfig,
  index,
  integer,
  json,
  jsonb,
  PgCustomColumn,
  PgTable,
  pgTable,
  primaryKey,
  text,
  unique,
}: typeof PgCore = load('drizzle-orm/pg-core');

/** Driver and migrator of the embedded database; loaded only when it is used. */
export function pgliteDriver(): { drizzle: typeof Pglite.drizzle; migrate: typeof PgliteMigrator.migrate } {
  const { drizzle }: typeof Pglite = load('drizzle-orm/pglite');
  const { migrate }: typeof PgliteMigrator = load('drizzle-orm/pglite/migrator');
  return { drizzle, migrate };
}

/** Driver and migrator of a PostgreSQL server; loaded only when it is used. */
export function postgresDriver(): { drizzle: typeof Postgres.drizzle; migrate: typeof PostgresMigrator.migrate } {
  const { drizzle }: typeof Postgres = load('drizzle-orm/postgres-js');
  const { migrate }: typeof PostgresMigrator = load('drizzle-orm/postgres-js/migrator');
  return { drizzle, migrate };
}
