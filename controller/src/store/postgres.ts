// PostgreSQL through the driver `postgres`. Processes that start at the same time migrate one after the other. A server that is away
// makes calls fail in bounded time, and the first call after its return makes a new connection.

import postgres from 'postgres';
import { type Database, migrationsFolder, type OpenDatabase } from './database.ts';
import { within } from './deadline.ts';
import { postgresDriver, sql } from './drizzle.ts';

/** All in milliseconds. */
export interface PostgresLimits {
  /** Making a connection, authentication included. */
  connectMs: number;
  /** One statement; the server ends it. */
  statementMs: number;
  /** One call of the store; more than the two above together, so that it ends only what nobody else ends. */
  callMs: number;
  /** All migrations, waiting for other processes included. */
  migrateMs: number;
}

export const defaultLimits: PostgresLimits = {
  connectMs: 5_000,
  statementMs: 20_000,
  callMs: 30_000,
  migrateMs: 300_000,
};

/** Any fixed number that no other program on this database uses. */
const migrationLock = 7_203_418_650;

const { drizzle, migrate } = postgresDriver();

function connect(url: string, limits: PostgresLimits, max: number, settings: Record<string, number>): postgres.Sql {
  return postgres(url, {
    max,
    connect_timeout: limits.connectMs / 1000,
    // Seconds before the next try after so many failed ones. Calls wait for it, so it stays short: the driver's own goes up to 20.
    backoff: (failures: number) => Math.min(0.1 * failures, 1),
    onnotice: () => undefined,
    // Asking for them when a connection is made leaves a rejection that nobody catches when the server goes away just then.
    fetch_types: false,
    // Whatever the settings of role and database are, times are written in a form that Date.parse reads.
    connection: { application_name: 'chutes-miner', DateStyle: 'ISO', TimeZone: 'UTC', ...settings },
  });
}

async function migrateAlone(url: string, limits: PostgresLimits): Promise<void> {
  const client = connect(url, limits, 1, { lock_timeout: 60_000, statement_timeout: 0 });
  const drop = () => void client.end({ timeout: 0 });
  try {
    const db = drizzle(client);
    await within({ ms: limits.migrateMs, start: () => drop }, async () => {
      // Held by the connection, so it also ends with a process that dies.
      await db.execute(sql`select pg_advisory_lock(${migrationLock})`);
      await migrate(db, { migrationsFolder });
    });
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** A pool of up to ten connections that are made when needed and again after the server went away. */
export async function openPostgres(url: string, given: Partial<PostgresLimits> = {}): Promise<OpenDatabase> {
  const limits = { ...defaultLimits, ...given };
  await migrateAlone(url, limits);
  let closed: Promise<void> | undefined;
  let pool = newPool();

  function newPool(): postgres.Sql {
    const made = connect(url, limits, 10, {
      statement_timeout: limits.statementMs,
      idle_in_transaction_session_timeout: limits.callMs,
    });
    // Sets how drizzle reads and writes dates, on the pool itself.
    drizzle(made);
    return made;
  }

  function start(): () => void {
    const used = pool;
    return () => {
      if (used !== pool || closed) return;
      pool = newPool();
      void used.end({ timeout: 0 });
    };
  }

  // The driver prepares no statement without parameters unless it is told that it is not a simple one.
  function unsafe(text: string, values: never[], options: { prepare?: boolean } = {}): unknown {
    return pool.unsafe(text, values, { ...options, ...(options.prepare && { simple: false }) });
  }

  // What is prepared once keeps working when the pool behind it is another.
  const face = new Proxy(pool, { get: (_, key) => (key === 'unsafe' ? unsafe : Reflect.get(pool, key)) });
  const db: Database = drizzle(face);
  return {
    db,
    limit: { ms: limits.callMs, start },
    close: () => {
      closed ??= pool.end({ timeout: 5 });
      return closed;
    },
  };
}
