// Loaded before each test file: property tests draw the same values in every run, so that a change that did not break one
// never sees it fail. To search further: `PROPERTY_SEED=random npm test`, or PROPERTY_SEED=N to repeat a run.

import * as fc from 'fast-check';

const wanted = process.env.PROPERTY_SEED ?? '20261122';
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted) });
