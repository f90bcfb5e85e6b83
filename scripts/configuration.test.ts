// docs/configuration.md says what the schemas say, and leaves no field without a meaning.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configurationFile, configurationText, files } from './configuration.ts';

test('docs/configuration.md is up to date', () => {
  assert.fixture(readFileSync(configurationFile, 'utf8'), configurationText());
});

test('every field has a meaning', () => {
  const fields = Object.values(files).flat();
  assert.ok(fields.length > 150, String(fields.length));
  const silent = fields.filter(({ meaning }) => meaning === '').map(({ path }) => path);
  assert.equal(silent, []);
});

test.run();
