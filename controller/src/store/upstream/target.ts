// Writing an import: everything in one transaction, into a database that is ours and empty. Whoever is refused finds nothing changed.

import postgres from 'postgres';
import { MinerError } from '../../domain/errors.ts';
import { sql } from '../drizzle.ts';
import { storeError } from '../failures.ts';
import { openDatabase } from '../open.ts';
import { excludedColumns } from '../rows.ts';
import { chutes, decisions, deploymentAudit, deployments, events, servers } from '../schema.ts';
import { storeOn } from '../store.ts';
import type { Import } from './import.ts';

/** Rows of one statement: 8 parameters each, of at most 65,535. */
const batch = 2000;

function refuse(why: string): MinerError {
  return new MinerError('E-USAGE', `the target ${why}; nothing was written`);
}

/**
 * Rejects with E-USAGE unless the database at `url` is empty, or ours without rows. Changes nothing, migrations neither: a wrong
 * target, the source itself among them, stays as it is.
 */
export async function demandEmptyTarget(url: string): Promise<void> {
  const client = postgres(url, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await client.begin('read only', async (tx) => {
      const found = await tx<{ name: string; ours: boolean }[]>`
        select table_name as name, to_regclass('drizzle.__drizzle_migrations') is not null as ours
        from information_schema.tables where table_schema = 'public' order by name`;
      if (found.length > 0 && !found[0]?.ours)
        throw refuse(`holds tables of another program, ${found[0]?.name} among them`);
      for (const { name } of found) {
        const rows = await tx`select 1 from ${tx(name)} limit 1`;
        if (rows.length > 0) throw refuse(`is not empty: table ${name} has rows`);
      }
    });
  } catch (error) {
    throw storeError('look at the target database', error);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/**
 * Migrates the target and writes all rows. `before` runs when everything is written and nothing is committed yet; when it rejects,
 * nothing is. Rejects like `demandEmptyTarget`, or with E-STORE.
 */
export async function writeImport(url: string, rows: Import, before: () => Promise<void>): Promise<void> {
  await demandEmptyTarget(url);
  const { db, close } = await openDatabase({ url });
  try {
    await db.transaction(async (tx) => {
      // Nobody else writes from here on, and who wrote since the first look is seen.
      for (const table of [servers, chutes, deployments, deploymentAudit, decisions, events]) {
        await tx.execute(sql`lock table ${table} in share row exclusive mode`);
        if ((await tx.select({ one: sql`1` }).from(table).limit(1)).length > 0) throw refuse('is in use by now');
      }
      const store = storeOn({ db: tx, close: async () => undefined });
      for (const server of rows.servers) await store.addServer(server);
      await store.saveChutes(rows.chutes);
      await store.addLifecycle(rows.lifecycles);
      // The triggers have begun an entry for each deployment; what the source says of it counts.
      for (let from = 0; from < rows.audit.length; from += batch) {
        await tx
          .insert(deploymentAudit)
          .values(rows.audit.slice(from, from + batch))
          .onConflictDoUpdate({
            target: deploymentAudit.deploymentId,
            set: excludedColumns(deploymentAudit, ['deploymentId']),
          });
      }
      await before();
    });
  } catch (error) {
    throw storeError('write the import', error);
  } finally {
    await close();
  }
}
