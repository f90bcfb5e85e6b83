// What is broken on purpose is still where the list of causes looks for it: the run that tries them takes half an hour.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { atTheStart, causes } from '@miner/e2e/sabotage/causes.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const { what, edits } of [atTheStart, ...causes])
  test(`its place is in the sources, once: ${what}`, () => {
    for (const { file, find } of edits) {
      assert.is(readFileSync(root + file, 'utf8').split(find).length - 1, 1, `${file}: ${find}`);
    }
  });

test.run();
