import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { accrue, bountyAmount, bountyBoost, easedSeconds, easing, runMultiplier } from './multiplier.ts';
import { near } from './testing.ts';

test('a chute multiplies its base with private, TEE, urgency and manual factors', () => {
  near(runMultiplier({ base: 2, private: 3, tee: 2.25, urgency: 1.5, manual: 1.2 }), 24.3);
});

for (const [age, boost] of [
  [0, 1.5],
  [5400, 2],
  [10800, 2.5],
  [20000, 2.5],
] as const) {
  test(`a bounty of ${age} s multiplies by ${boost}`, () => near(bountyBoost(age), boost));
}

for (const [age, amount] of [
  [0, 100],
  [100, 400],
  [50000, 86400],
] as const) {
  test(`a bounty of ${age} s shows an amount of ${amount}`, () => near(bountyAmount(age), amount));
}

for (const [age, weight, integral] of [
  [0, 0, 0],
  [7200, 0, 0],
  [18000, 0.5, 2700],
  [28800, 1, 10800],
  [30000, 1, 12000],
] as const) {
  test(`at age ${age} the chute's own multiplier weighs ${weight}, ${integral} s so far`, () => {
    near(easing(age), weight);
    near(easedSeconds(age), integral);
  });
}

test('accrual equals numeric integration over any ages and multipliers', () => {
  const age = fc.integer({ min: 0, max: 40000 });
  const value = fc.double({ min: 0.01, max: 20, noNaN: true });
  fc.assert(
    fc.property(age, age, value, value, fc.boolean(), (one, other, cm0, run, fixed) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const sum = { own: 0, followed: 0 };
      accrue(sum, from, to, run, fixed);
      let integral = 0;
      // Ages are whole and the bends lie on whole ages, so the trapezoid rule is exact up to rounding.
      for (let at = from; at < to; at++) {
        const weight = fixed ? 0 : easing(at + 0.5);
        integral += cm0 * (1 - weight) + run * weight;
      }
      assert.ok(Math.abs(cm0 * sum.own + sum.followed - integral) <= 1e-7 * Math.max(1, integral));
    }),
    { numRuns: 50 },
  );
});

test('accrual in pieces is accrual in one piece', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 }), (steps) => {
      const pieces = { own: 0, followed: 0 };
      let age = 0;
      for (const step of steps) {
        accrue(pieces, age, age + step, 3, false);
        age += step;
      }
      const whole = { own: 0, followed: 0 };
      accrue(whole, 0, age, 3, false);
      near(pieces.own, whole.own);
      near(pieces.followed, whole.followed);
    }),
  );
});

test.run();
