// docs/gepetto-rules.md names every rule and the test that holds it; this keeps it true.

import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = new URL('../../../../', import.meta.url);
const sources = new URL('controller/src/', root);

const counts = { S: 13, P: 13, B: 19, C: 5, E: 17, R: 23, K: 12, W: 32, D: 24 };
const wanted = Object.entries(counts).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
);

interface Rule {
  id: string;
  rule: string;
  heldBy: string;
}

function readRules(): Rule[] {
  const lines = readFileSync(new URL('docs/gepetto-rules.md', root), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, id, rule, heldBy] = line.split('|').map((cell) => cell.trim());
    return id && rule && heldBy && /^[A-Z]\d+$/.test(id) ? [{ id, rule, heldBy }] : [];
  });
}

/** Titles of tests, given directly or in the rows of a table. */
function titlesOf(path: string): string[] {
  const file = [new URL(path, sources), new URL(path, root)].find((url) => existsSync(url));
  assert.ok(file, `${path} does not exist`);
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:\btest\(|\b(?:name|what):|^\s*\[)\s*(['"`])(.*?)\1/gm)].map((match) => match[2] ?? '');
}

const rules = readRules();

test('every rule has exactly one row', () => {
  assert.equal(rules.map(({ id }) => id).sort(), [...wanted].sort());
});

for (const { id, heldBy } of rules) {
  test(`${id} is held by a test or has a reason`, () => {
    const [, path, title] = /^`([^`]+)`(?: › (.+))?$/.exec(heldBy) ?? [];
    if (path === undefined) {
      assert.match(heldBy, /^(By design|Not there yet): .{20,}/);
      return;
    }
    const titles = titlesOf(path);
    const found = titles.some((one) => (title ? one.includes(title) : new RegExp(`\\b${id}\\b`).test(one)));
    assert.ok(found, `no test of ${path} is named ${title ?? id}`);
  });
}

test.run();
