import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LeaseTerm } from '../domain/ports.ts';
import { keepLease } from './lease.ts';

/** A database with one lease, and time that a test moves: all sleepers whose time has come go on. */
function scene() {
  let now = 0;
  let away = false;
  let row: { holder: string; until: number; token: number } | undefined;
  let sleepers: { at: number; wake: () => void }[] = [];
  const store = {
    async takeLease(_name: string, holder: string, ttlMs: number): Promise<LeaseTerm> {
      if (away) throw new Error('the database is away');
      if (!row || row.holder === holder || row.until <= now) {
        const token = (row?.token ?? 0) + Number(row?.holder !== holder);
        row = { holder, until: now + ttlMs, token };
      }
      return { held: row.holder === holder, holder: row.holder, token: row.token };
    },
    async giveLease(_name: string, holder: string): Promise<void> {
      if (row?.holder === holder) row.until = now;
    },
  };
  const clock = {
    now: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        sleepers.push({ at: now + ms, wake: resolve });
        signal?.addEventListener('abort', () => resolve());
      }),
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    store,
    /** `dead`: a process that was killed asks nobody any more. */
    start(holder: string, dead: () => boolean = () => false) {
      const changes: boolean[] = [];
      const alive = {
        ...store,
        takeLease: (name: string, who: string, ttlMs: number) =>
          dead() ? new Promise<never>(() => undefined) : store.takeLease(name, who, ttlMs),
      };
      const log = pino({ level: 'silent' });
      const onChange = (held: boolean) => void changes.push(held);
      const lease = keepLease({ store: alive, name: 'l', holder, clock, ticks: () => now, log, onChange });
      return { lease, changes };
    },
    async pass(ms: number, look: () => void = () => undefined) {
      for (const end = now + ms; now < end; now += 100) {
        const due = sleepers.filter(({ at }) => at <= now);
        sleepers = sleepers.filter(({ at }) => at > now);
        for (const { wake } of due) wake();
        for (let i = 0; i < 5; i++) await settle();
        look();
      }
    },
    lose(on: boolean) {
      away = on;
    },
  };
}

test('of two that start one holds the lease; the other waits and knows for whom', async () => {
  const at = scene();
  const [a, b] = [at.start('a'), at.start('b')];
  await at.pass(20_000, () => assert.is([a, b].filter(({ lease }) => lease.held()).length, 1));
  assert.equal([a.changes, b.changes], [[true], []]);
  assert.is(b.lease.state().holder, 'a');
  await Promise.all([a.lease.close(), b.lease.close()]);
});

test('whoever waits has it within eight seconds of the holder being killed, and never both at once', async () => {
  const at = scene();
  let killed = false;
  const a = at.start('a', () => killed);
  await at.pass(3_000);
  const b = at.start('b');
  await at.pass(3_000);
  killed = true;
  await at.pass(8_000, () => assert.ok(!(a.lease.held() && b.lease.held())));
  assert.equal([a.lease.held(), b.lease.held()], [false, true]);
  assert.equal(a.changes, [true, false]);
  await b.lease.close();
});

test('a holder that cannot renew stops before anybody else may start, and goes on when the database is back', async () => {
  const at = scene();
  const a = at.start('a');
  await at.pass(2_000);
  at.lose(true);
  await at.pass(5_500);
  assert.is(a.lease.held(), false);
  assert.equal(a.changes, [true, false]);
  at.lose(false);
  await at.pass(2_000);
  assert.ok(a.lease.held());
  await a.lease.close();
});

test('a lease that is given back is taken by the next try', async () => {
  const at = scene();
  const a = at.start('a');
  await at.pass(500);
  const b = at.start('b');
  await at.pass(500);
  await a.lease.close();
  assert.is(a.lease.held(), false);
  await at.pass(2_000);
  assert.ok(b.lease.held());
  await b.lease.close();
});

test.run();
