import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { coldStartMedians, median } from './coldstart.ts';

test('the median of an even number of values lies between the middle two', () => {
  assert.equal([median([3, 1, 2]), median([4, 1, 2, 3]), median([7]), median([])], [2, 2.5, 7, undefined]);
});

test('each step is measured over the deployments that took it', () => {
  const at = (plannedAt: number, tokenAt: number, activatedAt?: number) => ({ plannedAt, tokenAt, activatedAt });
  assert.equal(coldStartMedians([at(0, 1000, 60_000), at(0, 3000), at(0, 2000, 30_000)]), { token: 2, total: 45 });
});

test('a step whose report came late counts as no time, not as a negative one', () => {
  assert.equal(coldStartMedians([{ runningAt: 10, claimedAt: 5 }]), { claim: 0 });
});

test.run();
