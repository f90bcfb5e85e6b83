// PostgreSQL through the driver `postgres`. Processes that start at the same time migrate one after the other.

import postgres from 'postgres';
import { type Database, migrationsFolder, type OpenDatabase } from './database.ts';
import { postgresDriver, sql } from './drizzle.ts';

/** Any fixed number that no other program on this database uses. */
const migrationLock = 7_203_418_650;

const shared = {
  connect_timeout: 10,
  onnotice: () => undefined,
  // Whatever the settings of role and database are, times are written in a form that Date.parse reads.
  connection: { application_name: 'chutes-miner', DateStyle: 'ISO', TimeZone: 'UTC' },
};

const { drizzle, migrate } = postgresDriver();

async function migrateAlone(url: string): Promise<void> {
  const client = postgres(url, { ...shared, max: 1, connection: { ...shared.connection, lock_timeout: 60_000 } });
  try {
    const db = drizzle(client);
    // Held by the connection, so it also ends with a process that dies.
    await db.execute(sql`select pg_advisory_lock(${migrationLock})`);
    await migrate(db, { migrationsFolder });
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** A pool of up to ten connections that are made when needed and again after the server went away. */
export async function openPostgres(url: string): Promise<OpenDatabase> {
  await migrateAlone(url);
  const client = postgres(url, { ...shared, max: 10 });
  const db: Database = drizzle(client);
  return { db, close: () => client.end({ timeout: 5 }) };
}
