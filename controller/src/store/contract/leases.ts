// Leases: one holder at a time, by the database's own clock.

import * as assert from 'uvu/assert';
import type { Rule } from './world.ts';

const hour = 3_600_000;

export function leaseContract(rule: Rule): void {
  rule('a lease has one holder, who may renew it, and the others are told who it is', async ({ store }) => {
    assert.equal(await store.takeLease('l', 'a', hour), { held: true, holder: 'a', token: 1 });
    assert.equal(await store.takeLease('l', 'b', hour), { held: false, holder: 'a', token: 1 });
    assert.equal(await store.takeLease('l', 'a', hour), { held: true, holder: 'a', token: 1 });
    assert.is((await store.takeLease('other', 'b', hour)).held, true);
  });

  rule('a lease that ran out is taken by the next, under a higher token', async ({ store }) => {
    await store.takeLease('l', 'a', 0);
    assert.equal(await store.takeLease('l', 'b', hour), { held: true, holder: 'b', token: 2 });
    assert.equal(await store.takeLease('l', 'a', hour), { held: false, holder: 'b', token: 2 });
  });

  rule('a lease that was given back is free at once, and nobody gives back what is not his', async ({ store }) => {
    await store.takeLease('l', 'a', hour);
    await store.giveLease('l', 'b');
    assert.is((await store.takeLease('l', 'b', hour)).held, false);
    await store.giveLease('l', 'a');
    assert.is((await store.takeLease('l', 'b', hour)).held, true);
  });

  rule('of many who ask at once for a free lease one gets it', async ({ store }) => {
    const names = Array.from({ length: 20 }, (_, i) => `holder ${i}`);
    const terms = await Promise.all(names.map((holder) => store.takeLease('l', holder, hour)));
    assert.is(terms.filter(({ held }) => held).length, 1);
    assert.is(new Set(terms.map(({ holder }) => holder)).size, 1);
  });
}
