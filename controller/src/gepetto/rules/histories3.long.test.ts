// A quarter of the ten thousand random histories.

import { testHistories } from './invariants.ts';

testHistories(2500, 3);
