import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Server } from '../domain/server.ts';
import { shareReads, writeServers } from './listing.ts';
import { type Inventory, serverShape } from './shapes.ts';
import { chute, deployment, gpuId, server } from './testing/api.ts';

function inventoryOf(servers: Server[], rows: Inventory['deployments']): Inventory {
  return {
    servers,
    byName: new Map(servers.map((one) => [one.name, one])),
    deployments: rows,
    onServer: Map.groupBy(rows, (row) => row.server),
    chutes: new Map([['chute-1', { ...chute, name: 'a "quoted" ü\u2028 name' }]]),
    health: new Map(),
    holders: new Map(rows.flatMap((row) => row.gpuIds.map((id) => [id, row.deploymentId] as const))),
  };
}

/** Server `n` has the GPUs `10n` and up. */
const inventories = fc
  .record({
    gpus: fc.array(fc.nat(4), { maxLength: 120, size: 'max' }),
    rows: fc.array(
      fc.record({
        on: fc.nat(130),
        gpus: fc.uniqueArray(fc.nat(4), { maxLength: 3 }),
        known: fc.boolean(),
        version: fc.string(),
      }),
      { maxLength: 40 },
    ),
  })
  .map(({ gpus, rows }) => {
    const servers = gpus.map((count, n) =>
      server(
        `s${n}`,
        Array.from({ length: count }, (_, i) => n * 10 + i),
      ),
    );
    const deployed = rows.map(({ on, gpus: held, known, version }, i) =>
      deployment(`d${i}`, `s${on}`, [], {
        gpuIds: held.map((n) => gpuId(on * 10 + n)),
        chuteId: known ? 'chute-1' : `forgotten-${i}`,
        version,
      }),
    );
    return inventoryOf(servers, deployed);
  });

test('the text is that of the shapes, whatever the fleet', async () => {
  await fc.assert(
    fc.asyncProperty(inventories, async (inventory) => {
      const expected = JSON.stringify(inventory.servers.map((one) => serverShape(one, inventory)));
      assert.is((await writeServers(inventory)).toString(), expected);
    }),
  );
});

test('other work goes on while a large fleet is written', async () => {
  const servers = Array.from({ length: 300 }, (_, n) => server(`s${n}`, [n * 10]));
  let turns = 0;
  let writing = true;
  function count(): void {
    turns += 1;
    if (writing) setImmediate(count);
  }
  count();
  await writeServers(inventoryOf(servers, []));
  writing = false;
  assert.ok(turns >= 5, `${turns} turns`);
});

/** Reads that end when they are told to. */
function manualReads(patienceMs?: number) {
  const started: PromiseWithResolvers<number>[] = [];
  const read = shareReads(() => {
    started.push(Promise.withResolvers<number>());
    return (started.at(-1) as PromiseWithResolvers<number>).promise;
  }, patienceMs);
  return { started, read };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('those who ask at the same time share one read', async () => {
  const { started, read } = manualReads();
  const all = [read(), read(), read()];
  await settle();
  assert.is(started.length, 1);
  started[0]?.resolve(7);
  assert.equal(await Promise.all(all), [7, 7, 7]);
});

test('who asks while a read is under way gets the next one: it may have begun before their change', async () => {
  const { started, read } = manualReads();
  const first = read();
  await settle();
  const later = [read(), read()];
  await settle();
  assert.is(started.length, 1);
  started[0]?.resolve(1);
  assert.is(await first, 1);
  await settle();
  assert.is(started.length, 2);
  started[1]?.resolve(2);
  assert.equal(await Promise.all(later), [2, 2]);
});

test('a read that fails does so for those who share it alone', async () => {
  const { started, read } = manualReads();
  const failing = read().then(
    () => 'read',
    () => 'failed',
  );
  await settle();
  const next = read();
  started[0]?.reject(new Error('down'));
  assert.is(await failing, 'failed');
  await settle();
  started[1]?.resolve(3);
  assert.is(await next, 3);
});

test('a read that hangs does not hold up the next one for ever', async () => {
  const { started, read } = manualReads(5);
  const hanging = read();
  await settle();
  const next = read();
  while (started.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  started[1]?.resolve(2);
  assert.is(await next, 2);
  started[0]?.resolve(1);
  assert.is(await hanging, 1);
});

test.run();
