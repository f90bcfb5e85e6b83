import fc from 'fast-check';
import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerEvent } from '../domain/event.ts';
import { createInProcessBus } from './inprocess.ts';

function event(n: number | string): MinerEvent {
  return { type: 'server_deleted', data: { server_id: String(n) } };
}

function idOf(one: MinerEvent): string {
  return one.type === 'server_deleted' ? one.data.server_id : '';
}

function setup(maxAttempts?: number) {
  const lines: string[] = [];
  const pauses: number[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const clock = {
    now: () => 0,
    async sleep(ms: number) {
      pauses.push(ms);
    },
  };
  const bus = createInProcessBus({ log, retryDelayMs: 100, clock, ...(maxAttempts ? { maxAttempts } : {}) });
  return { bus, lines, pauses };
}

test('every subscriber gets every event in order, one at a time, whatever fails in between', async () => {
  const failures = fc.array(fc.nat(3), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(failures, failures, async (first, second) => {
      const { bus } = setup();
      const plans = [first, second].map((plan) => [...plan]);
      const seen: string[][] = [[], []];
      const stops = plans.map((plan, who) => {
        let busy = false;
        return bus.subscribe(async (one) => {
          assert.not(busy, 'a second event before the first is done');
          busy = true;
          await Promise.resolve();
          busy = false;
          const n = Number(idOf(one));
          const left = plan[n] ?? 0;
          if (left > 0) {
            plan[n] = left - 1;
            throw new Error('not yet');
          }
          seen[who]?.push(idOf(one));
        });
      });
      const ids = Array.from({ length: 20 }, (_, n) => String(n));
      for (const id of ids) await bus.publish(event(id));
      for (const stop of stops) await stop();
      assert.equal(seen, [ids, ids]);
    }),
    { numRuns: 50 },
  );
});

test('a handler that rejects gets the event again after growing pauses, then it is reported and the next one comes', async () => {
  const { bus, lines, pauses } = setup(4);
  const seen: string[] = [];
  const stop = bus.subscribe(async (one) => {
    seen.push(idOf(one));
    if (idOf(one) === 'bad') throw new Error('broken handler');
  });
  await bus.publish(event('bad'));
  await bus.publish(event('good'));
  await stop();
  assert.equal(seen, ['bad', 'bad', 'bad', 'bad', 'good']);
  assert.equal(pauses, [100, 200, 400]);
  assert.is(lines.filter((line) => line.includes('given up')).length, 1);
  assert.match(lines.at(-1) ?? '', 'broken handler');
});

test('a handler that throws at once counts as one that rejects', async () => {
  const { bus, lines } = setup(1);
  const stop = bus.subscribe(() => {
    throw new Error('thrown');
  });
  await bus.publish(event(1));
  await stop();
  assert.match(lines.join(''), 'event given up');
});

test('a slow subscriber does not hold up another, nor the publisher', async () => {
  const { bus } = setup();
  let release = () => {};
  const blocked = new Promise<void>((resolve) => {
    release = resolve;
  });
  const fast: string[] = [];
  const stopSlow = bus.subscribe(() => blocked);
  const stopFast = bus.subscribe(async (one) => {
    fast.push(idOf(one));
  });
  await bus.publish(event(1));
  await bus.publish(event(2));
  await stopFast();
  assert.equal(fast, ['1', '2']);
  release();
  await stopSlow();
});

test('stopping waits for what was published and takes nothing after', async () => {
  const { bus } = setup();
  const seen: string[] = [];
  const stop = bus.subscribe(async (one) => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    seen.push(idOf(one));
  });
  for (let n = 0; n < 5; n++) await bus.publish(event(n));
  const stopped = stop();
  await bus.publish(event('late'));
  await stopped;
  assert.equal(seen, ['0', '1', '2', '3', '4']);
});

test('stopping does not sit out a pause', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const bus = createInProcessBus({ log, retryDelayMs: 60_000, maxAttempts: 3 });
  const stop = bus.subscribe(async () => {
    throw new Error('no');
  });
  await bus.publish(event(1));
  await new Promise((resolve) => setTimeout(resolve, 10));
  const started = performance.now();
  await stop();
  assert.ok(performance.now() - started < 1000);
  assert.is(lines.length, 3);
});

test.run();
