import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openClaims } from './claims.ts';

test('a claim may be tried again by the same process, but not by the one that follows', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'claims-')), 'claims');
  const first = openClaims(file);
  assert.ok(first.begin('a'));
  assert.ok(first.begin('a'), 'the same container tries again after a lost answer');
  const second = openClaims(file);
  assert.not(second.begin('a'));
  assert.ok(second.begin('b'));
});

test('without a file nothing is remembered', () => {
  assert.ok(openClaims(undefined).begin('a'));
  assert.ok(openClaims(undefined).begin('a'));
});

test.run();
