import fc from 'fast-check';
import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLane, type LaneOptions } from './lane.ts';
import { createPart } from './part.ts';
import { pauseAfter, within } from './patience.ts';

function setup(change: Partial<LaneOptions<number>> = {}) {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  const pauses: number[] = [];
  let now = 1000;
  const clock = {
    now: () => now,
    async sleep(ms: number) {
      pauses.push(ms);
      now += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  const place = { up: true, refuses: (_: number) => false, written: [] as number[], batches: [] as number[] };
  const part = createPart('place', clock, log);
  const lane = createLane<number>({
    name: 'numbers',
    async write(items) {
      await Promise.resolve();
      if (!place.up) throw new Error('not there');
      if (items.some(place.refuses)) throw new Error('not this one');
      place.batches.push(items.length);
      place.written.push(...items);
    },
    async probe() {
      if (!place.up) throw new Error('still not there');
    },
    part,
    limit: 1000,
    batch: 10,
    pauses: { firstMs: 100, longestMs: 400 },
    timeoutMs: 1000,
    clock,
    random: () => 1,
    log,
    ...change,
  });
  return { lane, place, part, pauses, lines };
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

test('all that the place takes arrives once and in order, whatever it refuses and however often it is away', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(59)), fc.array(fc.boolean(), { maxLength: 12 }), async (bad, outages) => {
      const plan = [...outages];
      const { lane, place } = setup({});
      place.refuses = (item) => bad.includes(item);
      Object.defineProperty(place, 'up', { get: () => plan.shift() ?? true });
      const outcomes = await Promise.allSettled(range(60).map((item) => lane.put(item)));
      const good = range(60).filter((item) => !bad.includes(item));
      // An outage that the write meets and the probe does not looks like a refusal; one item may so be lost, but not its order.
      assert.equal(
        place.written,
        [...new Set(place.written)].sort((a, b) => a - b),
      );
      if (outages.every(Boolean)) assert.equal(place.written, good);
      const fulfilled = outcomes.filter(({ status }) => status === 'fulfilled').length;
      assert.equal([fulfilled, lane.refused(), lane.waiting()], [place.written.length, 60 - fulfilled, 0]);
    }),
    { numRuns: 50 },
  );
});

test('what comes in while a write runs goes out together, at most a batch at a time', async () => {
  const { lane, place } = setup();
  await Promise.all(range(25).map((item) => lane.put(item)));
  assert.equal(place.batches, [1, 10, 10, 4]);
});

test('a place that is away is tried again after growing pauses, and its health tells since when and why', async () => {
  const { lane, place, part, pauses } = setup();
  await lane.put(0);
  assert.equal(part.health(), { state: 'up', since: 1000, reason: undefined });
  place.up = false;
  const written = lane.put(1);
  while (pauses.length < 4) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(part.health(), { state: 'away', since: 1000, reason: 'not there' });
  place.up = true;
  await written;
  assert.equal(pauses.slice(0, 4), [100, 200, 400, 400]);
  assert.ok(part.health().since >= 1000 + 1100);
});

test('above its limit it refuses with E-EVENTS and says so once', async () => {
  const { lane, lines } = setup({ limit: 5 });
  const outcomes = await Promise.allSettled(range(8).map((item) => lane.put(item)));
  const codes = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'ok'));
  assert.equal(codes, [...Array(5).fill('ok'), ...Array(3).fill('E-EVENTS')]);
  assert.is(lane.refused(), 3);
  assert.is(lines.filter((line) => line.includes('no room for more')).length, 1);
});

test('an item that the place refuses alone is given up after three times and reported', async () => {
  const { lane, place, lines } = setup();
  place.refuses = (item) => item === 1;
  const outcomes = await Promise.allSettled(range(3).map((item) => lane.put(item)));
  assert.equal(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.match(lines.join(''), 'not this one');
});

test('a write without an end is an outage', async () => {
  const hangs = () => new Promise(() => undefined);
  const { lane, part } = setup({ write: hangs, probe: hangs, timeoutMs: 5 });
  const written = lane.put(1).catch((error: unknown) => error);
  while (!part.health().reason?.includes('more than 5 ms')) await new Promise((resolve) => setTimeout(resolve, 1));
  await lane.close();
  assert.match(String(await written), 'closed');
});

test('closing tries once more, then refuses what is left and what comes after', async () => {
  const { lane, place } = setup();
  place.up = false;
  const waiting = lane.put(1).catch((error: { code: string }) => error.code);
  await new Promise((resolve) => setImmediate(resolve));
  await lane.close();
  assert.equal([await waiting, await lane.put(2).catch((error) => error.code)], ['E-EVENTS', 'E-EVENTS']);
});

test('pauses lie between a half and all of the doubled one, and end at the longest', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
      const full = Math.min(30_000, 1000 * 2 ** (failures - 1));
      const pause = pauseAfter(failures, { firstMs: 1000, longestMs: 30_000 }, () => chance);
      assert.ok(pause >= full / 2 && pause <= full);
    }),
  );
});

test('an answer in time passes, also when it is an error', async () => {
  assert.is(await within(1000, 'it', Promise.resolve(5)), 5);
  assert.is(await within(1000, 'it', Promise.reject(new Error('no'))).catch((error) => error.message), 'no');
});

test.run();
