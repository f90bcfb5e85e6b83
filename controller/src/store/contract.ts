// What a Store does, whichever database is behind it: run by the tests of each driver.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { auditContract } from './contract/audit.ts';
import { chuteContract } from './contract/chutes.ts';
import { decisionContract } from './contract/decisions.ts';
import { eventContract } from './contract/events.ts';
import { leaseContract } from './contract/leases.ts';
import { lifecycleContract } from './contract/lifecycles.ts';
import { serverContract } from './contract/servers.ts';
import { tableContract } from './contract/tables.ts';
import { upkeepContract } from './contract/upkeep.ts';
import { verificationContract } from './contract/verifications.ts';
import { type Rule, rejection, type World } from './contract/world.ts';
import type { Database, OpenDatabase } from './database.ts';
import { sql } from './drizzle.ts';
import { storeOn } from './store.ts';

const parts = {
  tables: tableContract,
  servers: serverContract,
  chutes: chuteContract,
  lifecycles: lifecycleContract,
  audit: auditContract,
  decisions: decisionContract,
  events: eventContract,
  leases: leaseContract,
  upkeep: upkeepContract,
  verifications: verificationContract,
};

/** Rows of a statement with either driver: PGlite wraps them, `postgres` does not. */
async function rowsOf(db: Database, statement: string): Promise<Record<string, unknown>[]> {
  const result: unknown = await db.execute(sql.raw(statement));
  const rows = Array.isArray(result) ? result : (result as { rows: unknown[] }).rows;
  return rows.map((row) => ({ ...row }));
}

/** Runs all rules on one database from `open`, emptied before each; the last rule closes it. */
export function storeContract(name: string, open: () => Promise<OpenDatabase>): void {
  const test = suite(name);
  let world: World | undefined;

  function opened(): World {
    if (!world) throw new Error('the database did not open');
    return world;
  }

  test.before(async () => {
    const database = await open();
    world = { store: storeOn(database), rows: (statement) => rowsOf(database.db, statement) };
  });
  test.before.each(async () => {
    // In PGlite TRUNCATE takes 100 ms and DELETE 1 ms.
    for (const table of ['servers', 'deployment_audit', 'chutes', 'decisions', 'events', 'leases', 'verifications'])
      await opened().rows(`delete from ${table}`);
  });
  test.after(() => world?.store.close());

  const rule: Rule = (sentence, check) => {
    test(sentence, () => check(opened()));
  };
  for (const part of Object.values(parts)) part(rule);
  test.run();

  const end = suite(`${name}, closed`);
  end('a closed store says so, and may be closed again', async () => {
    const { store } = opened();
    await store.close();
    assert.is((await rejection(store.servers())).code, 'E-STORE');
    await store.close();
  });
  end.run();
}
