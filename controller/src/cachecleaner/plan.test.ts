import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CacheItem, type Inode, isInUse, type Known, planRemovals, startingMs, totalBytes } from './plan.ts';

const day = 86_400_000;
const now = 1_000 * day;
const chutes = ['a', 'b', 'c', 'd'];
const generous = { maxBytes: 1e9, minFreeBytes: 0, maxAgeMs: 30 * day };

function item(name: string, fields: Partial<CacheItem> = {}): CacheItem {
  const path = [fields.chuteId ?? 'a', 'hub', name];
  return { path, chuteId: 'a', name, bytes: 10, shared: new Map(), partials: [], changedAt: now - day, ...fields };
}

function known(fields: Partial<Known> = {}): Known {
  return { lastUsed: new Map(), seenAt: now, pinned: new Set(), stuck: new Set(), ...fields };
}

function namesGone(items: CacheItem[], fields: Partial<Known>, limits: Partial<typeof generous>, free = 1e9): string[] {
  const { removals } = planRemovals(items, free, known(fields), { ...generous, ...limits }, now);
  return removals.map((one) => `${one.item.name}: ${one.reason}`);
}

test('models go by age, then by size and free space, and what was used longest ago goes first', () => {
  const items = [
    item('new', { changedAt: now - day }),
    item('mid', { changedAt: now - 9 * day }),
    item('old', { changedAt: 1 }),
  ];
  assert.equal(namesGone(items, {}, {}), ['old: age']);
  assert.equal(namesGone(items, {}, { maxBytes: 20 }), ['old: age']);
  assert.equal(namesGone(items, {}, { maxBytes: 19 }), ['old: age', 'mid: size']);
  assert.equal(namesGone(items, {}, { minFreeBytes: 125 }, 100), ['old: age', 'mid: free space', 'new: free space']);
});

test('the last start of the chute counts, not when a file was written', () => {
  const items = [
    item('a', { chuteId: 'a', changedAt: now - 100 * day }),
    item('b', { chuteId: 'b', changedAt: now - 5 * day }),
  ];
  const lastUsed = new Map([['a', now - day]]);
  assert.equal(namesGone(items, { lastUsed }, { maxBytes: 10 }), ['b: size']);
});

test('a tie is decided by the time of writing and then by name, whatever the order of the scan', () => {
  const lastUsed = new Map([['a', now - day]]);
  const items = ['y', 'z', 'x'].map((name) => item(name, { changedAt: now - (name === 'z' ? 3 : 2) * day }));
  for (const order of [items, items.toReversed()]) {
    assert.equal(namesGone(order, { lastUsed }, { maxBytes: 15 }), ['z: size', 'x: size']);
  }
});

test('running, starting, pinned, just written, stuck and old-layout models stay, whatever the limits', () => {
  const stuck = item('stuck', { chuteId: 'd' });
  const items = [
    item('running', { chuteId: 'a' }),
    item('starting', { chuteId: 'b' }),
    item('pinned model', { chuteId: 'd' }),
    item('of a pinned chute', { chuteId: 'c' }),
    item('just written', { chuteId: 'd', changedAt: now - startingMs }),
    item('legacy', { chuteId: undefined }),
    stuck,
  ];
  const lastUsed = new Map([
    ['a', now],
    ['b', now - startingMs + 1],
  ]);
  const facts = { lastUsed, pinned: new Set(['c', 'pinned model']), stuck: new Set([stuck]) };
  const plan = planRemovals(items, 0, known(facts), { maxBytes: 1, minFreeBytes: 1, maxAgeMs: 1 }, now);
  assert.equal(plan.removals, []);
  assert.equal([...plan.kept.values()], ['in use', 'in use', 'pinned', 'pinned', 'recent', 'legacy', 'stuck']);
  assert.not(plan.met);
});

test('without a look at the node every chute is in use; an old look still tells which had ended by then', () => {
  const lastUsed = new Map([
    ['ran on', now - 50 * day],
    ['ended', now - 51 * day],
  ]);
  assert.ok(isInUse('unknown', { lastUsed, seenAt: undefined }, now));
  const seenAt = now - 50 * day;
  assert.equal(
    ['ran on', 'ended', 'unknown'].map((id) => isInUse(id, { lastUsed, seenAt }, now)),
    [true, false, false],
  );
});

test('a file with several names frees its bytes with the last of them, and is no reason to remove one that frees nothing', () => {
  const both: Inode = { bytes: 100, links: 2 };
  const outside: Inode = { bytes: 100, links: 2 };
  const twins = ['x', 'y'].map((name) => item(name, { bytes: 0, shared: new Map([[both, 1]]) }));
  assert.is(totalBytes(twins), 100);
  assert.equal(namesGone(twins, {}, { maxBytes: 0 }), ['x: size', 'y: size']);
  assert.equal(namesGone([item('x', { bytes: 0, shared: new Map([[outside, 1]]) })], {}, { maxBytes: 0 }), []);
});

test('a broken download goes although its model stays', () => {
  const partial = { path: ['blobs', 'e.incomplete'], bytes: 7 };
  const plan = planRemovals([item('x', { partials: [partial] })], 0, known(), generous, now);
  assert.equal([plan.removals.length, plan.partials.map((one) => one.partial), plan.freedBytes], [0, [partial], 7]);
});

const inodes: Inode[] = [3, 50, 200].map((bytes) => ({ bytes, links: 3 }));
const anyItem = fc.record({
  chuteId: fc.constantFrom(...chutes, undefined),
  bytes: fc.nat(100),
  shared: fc
    .uniqueArray(fc.constantFrom(...inodes), { maxLength: 2 })
    .map((some) => new Map(some.map((one) => [one, 1]))),
  changedAt: fc.integer({ min: now - 60 * day, max: now }),
  partials: fc.array(fc.record({ path: fc.constant(['p']), bytes: fc.nat(20) }), { maxLength: 2 }),
});
const anyWorld = fc.record({
  // Three names each at most, as the inodes say.
  items: fc.array(anyItem, { maxLength: 3 }).map((some) => some.map((fields, n) => item(`m${n}`, fields))),
  others: fc
    .array(anyItem, { maxLength: 20 })
    .map((some) => some.map((fields, n) => item(`o${n}`, { ...fields, shared: new Map() }))),
  free: fc.nat(500),
  limits: fc.record({
    maxBytes: fc.nat(1000),
    minFreeBytes: fc.nat(1000),
    maxAgeMs: fc.integer({ min: 1, max: 60 * day }),
  }),
  known: fc.record({
    lastUsed: fc.dictionary(fc.constantFrom(...chutes), fc.integer({ min: now - 60 * day, max: now })),
    seenAt: fc.option(fc.integer({ min: now - 5 * day, max: now }), { nil: undefined }),
    pinned: fc.uniqueArray(fc.constantFrom(...chutes, 'm0', 'o0'), { maxLength: 2 }),
  }),
});

test('for every cache: the limits hold afterwards or nothing is left that may go and frees something, and nothing protected goes', () => {
  fc.assert(
    fc.property(anyWorld, ({ items: some, others, free, limits, known: facts }) => {
      const items = [...some, ...others];
      const all = known({ ...facts, lastUsed: new Map(Object.entries(facts.lastUsed)), pinned: new Set(facts.pinned) });
      const plan = planRemovals(items, free, all, limits, now);
      const gone = new Set(plan.removals.map((one) => one.item));
      for (const one of gone) {
        assert.not(plan.kept.has(one));
        assert.not(one.chuteId === undefined || isInUse(one.chuteId, all, now));
        assert.not(all.pinned.has(one.name) || all.pinned.has(one.chuteId ?? ''));
        assert.ok(one.changedAt < now - startingMs);
      }
      const left = items.filter((one) => !gone.has(one));
      const size = totalBytes(left) - plan.partials.reduce((sum, one) => sum + one.partial.bytes, 0);
      assert.is(
        plan.met,
        totalBytes(items) - plan.freedBytes <= limits.maxBytes && free + plan.freedBytes >= limits.minFreeBytes,
      );
      if (plan.met) return assert.ok(size <= limits.maxBytes);
      // What could go and did not would have freed nothing: no bytes of its own, and a name elsewhere of each file with several.
      const mayGo = items.filter((one) => !plan.kept.has(one));
      for (const one of left) {
        assert.ok(plan.kept.has(one) || one.bytes === 0);
        if (plan.kept.has(one)) continue;
        for (const [inode] of one.shared) {
          assert.ok(inode.bytes === 0 || mayGo.filter(({ shared }) => shared.has(inode)).length < inode.links);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test.run();
