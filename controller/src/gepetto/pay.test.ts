import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bountyAgeMs, bountyBoost, firstFrom, multiplierAt, payAbove } from './pay.ts';

const hour = 3_600_000;

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} instead of ${expected}`);
}

test('the first multiplier is frozen for two hours, eases until eight, then the chute decides', () => {
  for (const [age, expected] of [
    [0, 3],
    [2, 3],
    [5, 2],
    [8, 1],
    [20, 1],
  ] as const) {
    near(multiplierAt(3, 1, age), expected);
  }
});

test('the first multiplier is found again from what an instance earns while it eases', () => {
  for (const age of [0, 1, 3, 6]) near(firstFrom(multiplierAt(3, 1, age), 1, age), 3);
  near(firstFrom(1, 1, 9), 1);
});

test('pay is the area under the multiplier', () => {
  near(payAbove(3, 1, 0, 2, 0), 6);
  near(payAbove(3, 1, 2, 8, 0), 12);
  near(payAbove(3, 1, 8, 10, 0), 2);
  near(payAbove(3, 1, 0, 10, 0), 20);
  near(payAbove(3, 1, 4, 3, 0), 0);
});

test('pay below the floor counts nothing: the GPUs have something better to do by then', () => {
  near(payAbove(3, 1, 0, 10, 2), 2 + 0.5 * 3);
  near(payAbove(1, 3, 0, 10, 2), 0.5 * 3 + 2);
  near(payAbove(1, 1, 0, 10, 2), 0);
});

test('a bounty starts at 1.5 and ends at 2.5 after three hours; its amount tells its age', () => {
  near(bountyBoost(0), 1.5);
  near(bountyBoost(1.5 * hour), 2);
  near(bountyBoost(9 * hour), 2.5);
  near(bountyAgeMs(100 + 3 * 600), 600_000);
  near(bountyAgeMs(0), 0);
});

test.run();
