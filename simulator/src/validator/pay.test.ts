import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { accrue, accrued, bountyAmount, bountyBoost, currentMultiplier, type Earner, isYoung, settle } from './pay.ts';

const hour = 3_600_000;

function earner(change: Partial<Earner> = {}): Earner {
  const start = { createdAt: -100_000, activatedAt: 0, jobId: null, cm0: 4, boost: 2 };
  return { ...start, frozenSeconds: 0, followed: 0, accruedAt: 0, ...change };
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-6 * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`);
}

const boosts: [seconds: number, boost: number, amount: number][] = [
  [0, 1.5, 100],
  [5400, 2, 16_300],
  [10_800, 2.5, 32_500],
  [100_000, 2.5, 86_400],
];
for (const [seconds, boost, amount] of boosts) {
  test(`a bounty open for ${seconds} s multiplies by ${boost} and shows ${amount}`, () => {
    assert.is(bountyBoost(seconds), boost);
    assert.is(bountyAmount(seconds), amount);
  });
}

const ages: [hours: number, multiplier: number][] = [
  [0, 4],
  [2, 4],
  [5, 2.5],
  [8, 1],
  [20, 1],
];
for (const [hours, multiplier] of ages) {
  test(`after ${hours} h a multiplier of 4 on a chute that runs at 1 is ${multiplier}`, () => {
    assert.is(currentMultiplier(earner(), 1, hours * hour), multiplier);
  });
}

test('start-up counts 0.3, the frozen 2 h in full, the easing hours by their share', () => {
  const instance = earner();
  accrue(instance, 1, 2 * hour);
  near(accrued(instance), 0.3 * 100 * 4 + 7200 * 4);
  accrue(instance, 1, 8 * hour);
  near(accrued(instance), 0.3 * 100 * 4 + 7200 * 4 + 21_600 * 2.5);
  accrue(instance, 1, 9 * hour);
  near(accrued(instance), 0.3 * 100 * 4 + 7200 * 4 + 21_600 * 2.5 + 3600);
  near(accrued(instance, true), 0.3 * 100 * 2 + 7200 * 2 + 10_800 * 2 + 10_800 * 1 + 3600);
});

test('a job keeps the multiplier it was offered', () => {
  const job = earner({ jobId: 'j', boost: 1 });
  accrue(job, 1, 20 * hour);
  near(accrued(job), 0.3 * 100 * 4 + 72_000 * 4);
  assert.is(currentMultiplier(job, 1, 20 * hour), 4);
});

test('booking in pieces gives the same as booking at once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 * hour }), { maxLength: 6 }), (times) => {
      const pieces = earner();
      for (const at of times.sort((a, b) => a - b)) accrue(pieces, 1.7, at);
      accrue(pieces, 1.7, 30 * hour);
      const whole = earner();
      accrue(whole, 1.7, 30 * hour);
      near(accrued(pieces), accrued(whole));
    }),
  );
});

const endings: [name: string, by: 'valid' | 'miner' | 'lost', change: object, ageHours: number, share: string][] = [
  ['the validator ends a young one', 'valid', {}, 0.5, 'all'],
  ['the validator ends a private one', 'valid', { isPublic: false }, 3, 'all'],
  ['the miner removes a young public one', 'miner', {}, 0.5, 'nothing'],
  ['the miner removes an old public one', 'miner', {}, 1, 'all'],
  ['the miner removes the last one', 'miner', { last: true }, 1, 'a tenth without bounty'],
  ['the miner removes a private one', 'miner', { isPublic: false }, 3, 'nothing'],
  ['a server is lost early', 'lost', {}, 0.5, 'nothing'],
  ['a server is lost late', 'lost', { last: true }, 1, 'all'],
];
for (const [name, by, change, ageHours, share] of endings) {
  test(`when ${name}, ${share} is paid`, () => {
    const instance = earner();
    accrue(instance, 1, ageHours * hour);
    const expected = { all: accrued(instance), nothing: 0 }[share] ?? accrued(instance, true) / 10;
    near(settle(instance, { by, isPublic: true, last: false, ...change }, ageHours * hour), expected);
  });
}

test('a job removed by the miner pays nothing, and what never became active pays nothing', () => {
  const job = earner({ jobId: 'j' });
  accrue(job, 1, 2 * hour);
  assert.is(settle(job, { by: 'miner', isPublic: true, last: false }, 2 * hour), 0);
  const pending = earner({ activatedAt: null });
  accrue(pending, 1, 2 * hour);
  assert.is(settle(pending, { by: 'valid', isPublic: true, last: false }, 2 * hour), 0);
  assert.ok(isYoung(pending, 100 * hour));
});

test.run();
