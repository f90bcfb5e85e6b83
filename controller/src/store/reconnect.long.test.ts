import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { MinerError } from '../domain/errors.ts';
import type { Store } from '../domain/ports.ts';
import {
  epoch,
  gpuId,
  makeChute,
  makeEntry,
  makeLifecycle,
  makeServer,
  makeStored,
  uuid,
} from './contract/fixtures.ts';
import { makeVerification } from './contract/verifications.ts';
import { type Wire, wireTo } from './contract/wire.ts';
import { rejection } from './contract/world.ts';
import { openStore } from './open.ts';

/** Generous beyond the limits below, for a loaded machine; far below the minutes that TCP takes. */
const boundMs = 20_000;
const limits = { connectMs: 1_000, statementMs: 1_500, callMs: 3_000 };

const calls: Record<Exclude<keyof Store, 'close'>, (store: Store) => Promise<unknown>> = {
  servers: (store) => store.servers(),
  addServer: (store) => store.addServer(makeServer(2)),
  updateServer: (store) => store.updateServer('gpu-1', { locked: true, gpus: [] }),
  markGpusVerified: (store) => store.markGpusVerified([gpuId(8)]),
  deleteServer: (store) => store.deleteServer('gpu-2'),
  saveChutes: (store) => store.saveChutes([makeChute(1)]),
  chutes: (store) => store.chutes(),
  lifecycles: (store) => store.lifecycles(),
  addLifecycle: (store) => store.addLifecycle([makeLifecycle(2)]),
  mark: (store) => store.mark('runningAt', [uuid(1)], epoch),
  setConfig: (store) => store.setConfig(uuid(1), uuid(11)),
  linkInstance: (store) => store.linkInstance(uuid(11), uuid(12), epoch),
  markInstance: (store) => store.markInstance('verifiedAt', { instanceId: uuid(12) }, epoch),
  saveDecisions: (store) => store.saveDecisions([makeStored(1)]),
  decisions: (store) => store.decisions(5, { server: 'gpu-1' }),
  addEvents: (store) => store.addEvents([makeEntry(1)]),
  markEventsHandled: (store) => store.markEventsHandled([makeEntry(1).id], epoch),
  recentEvents: (store) => store.recentEvents(['job_created'], 0),
  unhandledEvents: (store) => store.unhandledEvents(epoch, 5),
  auditRows: (store) => store.auditRows(0, epoch),
  prune: (store) => store.prune(0),
  takeLease: (store) => store.takeLease('l', 'a', 1000),
  giveLease: (store) => store.giveLease('l', 'a'),
  verifications: (store) => store.verifications(),
  saveVerification: (store) => store.saveVerification(makeVerification('gpu-1')),
  endVerification: (store) => store.endVerification('gpu-1'),
  ping: (store) => store.ping(),
};

let server: TestPostgres | undefined;
let wire: Wire | undefined;
let store: Store | undefined;

function running(): { server: TestPostgres; wire: Wire; store: Store } {
  if (!server || !wire || !store) throw new Error('PostgreSQL did not start');
  return { server, wire, store };
}

test.before(async () => {
  server = await startPostgres();
  wire = await wireTo(server.url);
  store = await openStore({ url: wire.url, limits });
});

test.before.each(async () => {
  await running().store.deleteServer('gpu-1');
  await running().store.deleteServer('gpu-2');
  await running().store.addServer(makeServer(1));
  await running().store.addLifecycle([makeLifecycle(1)]);
});

test.after(async () => {
  await wire?.mend();
  await store?.close();
  await wire?.close();
  await server?.stop();
});

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const late = new AbortController();
  const alarm = sleep(boundMs, undefined, { signal: late.signal }).then(
    () => assert.unreachable(`nothing came back within ${boundMs} ms`) as never,
    () => undefined as never,
  );
  return Promise.race([promise, alarm]).finally(() => late.abort());
}

async function allFail(): Promise<void> {
  const failures = Object.entries(calls).map(async ([name, call]) => {
    const error = await inTime(rejection(call(running().store)));
    assert.is(error.code, 'E-STORE', name);
  });
  await Promise.all(failures);
}

/** The first call may still meet a connection that broke. */
async function allWork(): Promise<void> {
  await inTime(running().store.ping()).catch(() => undefined);
  for (const call of Object.values(calls)) await inTime(call(running().store));
}

test('while the server is stopped every call fails in time, and works when it is back', async () => {
  await allWork();
  await running().wire.cut();
  await allFail();
  await allFail();
  await running().wire.mend();
  await allWork();
});

test('while the server is frozen every call fails in time, and works when it is back', async () => {
  await allWork();
  running().wire.swallow();
  await allFail();
  await allFail();
  await running().wire.mend();
  await allWork();
});

test('opening a store on a frozen server fails in time', async () => {
  const frozen = await wireTo(running().server.url);
  frozen.swallow();
  const error = await inTime(rejection(openStore({ url: frozen.url, limits })));
  assert.is(error.code, 'E-STORE');
  await frozen.close();
});

test('a statement that waits for a lock that nobody gives back fails in time and holds no other call up', async () => {
  const { default: postgres } = await import('postgres');
  const other = postgres(running().server.url, { max: 1 });
  const held = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = other.begin(async (sql) => {
    await sql`select * from servers where name = 'gpu-1' for update`;
    locked.resolve();
    await held.promise;
  });
  await locked.promise;
  const waiting = inTime(rejection(running().store.updateServer('gpu-1', { locked: true })));
  assert.is((await inTime(running().store.servers())).length, 1);
  assert.is((await waiting).code, 'E-STORE');
  held.resolve();
  await holding;
  await inTime(running().store.updateServer('gpu-1', { locked: true }));
  await other.end();
});

test('through a restart of the server in the middle of 1,000 events each is stored and handled once', async () => {
  await running().store.prune(Date.UTC(2100, 0));
  const entries = Array.from({ length: 1000 }, (_, i) => makeEntry(i + 1));
  let failures = 0;

  async function persist(call: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await inTime(call());
        return;
      } catch (error) {
        assert.ok(error instanceof MinerError && error.code === 'E-STORE', String(error));
        failures += 1;
        await sleep(20);
      }
    }
  }

  async function restart(): Promise<void> {
    await running().wire.cut();
    await running().server.restart();
    await running().wire.mend();
  }

  let restarting: Promise<void> | undefined;
  const queue = entries.entries();
  async function worker(): Promise<void> {
    for (const [i, entry] of queue) {
      if (i === 300) restarting = restart();
      await persist(() => running().store.addEvents([entry]));
      if (i % 2 === 0) await persist(() => running().store.markEventsHandled([entry.id], epoch + 5000 + i));
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker));
  await restarting;
  const open = await running().store.unhandledEvents(epoch + 10_000, 2000);
  assert.equal(
    open,
    entries.filter((_, i) => i % 2 === 1),
  );
  assert.ok(failures > 0, 'the restart was not met');
  assert.is(await running().store.prune(epoch + 10_000), 500);
});

test.run();
