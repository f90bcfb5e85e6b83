// A hundred random histories in every run of the tests; the long tests beside it draw ten thousand others.
// PROPERTY_RUNS sets the number of histories.

import { testHistories } from './invariants.ts';

testHistories(Number(process.env.PROPERTY_RUNS ?? 100), 0);
