import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { epoch, makeEntry, makeLifecycle, makeServer, uuid } from './contract/fixtures.ts';
import { rejection } from './contract/world.ts';
import { storeContract } from './contract.ts';
import { openDatabase, openStore } from './open.ts';
import { storeOn } from './store.ts';

let server: TestPostgres | undefined;

function running(): TestPostgres {
  if (!server) throw new Error('PostgreSQL did not start');
  return server;
}

test.before(async () => {
  server = await startPostgres();
});

test('five processes that start at once on an empty database all find it migrated', async () => {
  const stores = await Promise.all(Array.from({ length: 5 }, () => openStore({ url: running().url })));
  for (const store of stores) assert.equal(await store.servers(), []);
  await Promise.all(stores.map((store) => store.close()));
});

test('a store works again after the server was restarted, with all that was stored', async () => {
  const store = await openStore({ url: running().url });
  await store.addServer(makeServer(1));
  await running().restart();
  // The first call may still meet a broken connection, and says so.
  const first = await store.servers().catch((error) => error.code);
  assert.ok(first === 'E-STORE' || first.length === 1);
  assert.equal(await store.servers(), [makeServer(1)]);
  await store.close();
});

test('times are read right whatever the settings of the database', async () => {
  const { db, close } = await openDatabase({ url: running().url });
  const name = new URL(running().url).pathname.slice(1);
  await db.execute(`alter database ${name} set timezone to 'Asia/Kolkata'`);
  await db.execute(`alter database ${name} set datestyle to 'German'`);
  await close();
  const store = await openStore({ url: running().url });
  assert.equal(await store.servers(), [makeServer(1)]);
  await store.close();
});

test('two processes may mark the same rows in opposite orders', async () => {
  const stores = await Promise.all([1, 2].map(() => openStore({ url: running().url })));
  const rows = Array.from({ length: 20 }, (_, i) => makeLifecycle(i + 1));
  const ids = rows.map((row) => row.deploymentId);
  const orders = [ids, ids.toReversed()];
  for (let round = 0; round < 30; round++) {
    await stores[0]?.deleteServer('gpu-1');
    await stores[0]?.addServer(makeServer(1));
    await stores[0]?.addLifecycle(rows);
    await Promise.all(stores.map((store, i) => store.mark('goneAt', orders[i] ?? [], epoch)));
  }
  for (const store of stores) await store.close();
});

test('what runs for each event or pass is one statement, prepared once and then only executed', async () => {
  const database = await openDatabase({ url: running().url });
  const store = storeOn(database);
  const hot: Record<string, () => Promise<unknown>> = {
    'update "deployments" set "running_at"': () => store.mark('runningAt', [uuid(1), uuid(2)], epoch),
    'update "deployments" set "verified_at"': () => store.markInstance('verifiedAt', { configId: uuid(11) }, epoch),
    'update "deployments" set "instance_id"': () => store.linkInstance(uuid(11), uuid(12), epoch),
    'insert into "events"': () => store.addEvents([makeEntry(1), makeEntry(2)]),
    'update "events"': () => store.markEventsHandled([makeEntry(1).id, makeEntry(2).id], epoch),
    'from "deployments" inner join': () => store.lifecycles(),
    'from "servers" order by': () => store.servers(),
  };
  for (let round = 0; round < 3; round++) for (const call of Object.values(hot)) await call();
  const prepared = (await database.db.execute(
    'select statement, generic_plans + custom_plans as plans from pg_prepared_statements',
  )) as unknown as { statement: string; plans: string }[];
  for (const part of Object.keys(hot)) {
    const found = prepared.filter(({ statement }) => statement.includes(part));
    assert.equal(
      found.map(({ plans }) => Number(plans)),
      [3],
      part,
    );
  }
  await database.close();
});

test('a server that is not there is an error that names it without the password', async () => {
  const error = await rejection(openStore({ url: 'postgres://miner:hunter2@127.0.0.1:1/miner' }));
  assert.is(error.code, 'E-STORE');
  assert.match(error.message, '127.0.0.1:1/miner');
  assert.match(error.message, 'ECONNREFUSED');
  assert.not.match(JSON.stringify([error.message, error.detail, String(error.cause)]), 'hunter2');
});

test('a URL that is none is an error without the URL', async () => {
  const error = await rejection(openStore({ url: 'postgres//miner:hunter2@host' }));
  assert.is(error.code, 'E-STORE');
  assert.not.match(error.stack ?? '', 'hunter2');
});

test.run();

storeContract('store in PostgreSQL', async () => {
  const { db, close } = await openDatabase({ url: running().url });
  return { db, close: () => close().finally(() => running().stop()) };
});
