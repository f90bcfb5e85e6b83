// What the repository promises about itself: import direction, error documentation, no words that do not belong here.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCodes } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('..', import.meta.url));

const uses = (from: string) => `import * as other from '${from}';\nexport const found = other;\n`;

const imports: [folder: string, from: string, refused: boolean][] = [
  ['controller/src/domain', '../gepetto/plan.ts', true],
  ['controller/src/gepetto', '../store/open.ts', true],
  ['controller/src/gepetto', '../domain/chute.ts', false],
  ['controller/src/store', '../bus/inprocess.ts', true],
  ['controller/src/validator', '../signing/sign.ts', false],
  ['controller/src/api', '@miner/simulator/sr25519.ts', true],
  ['controller/src/link', '../store/open.ts', true],
  ['controller/src/store', '../link/client.ts', true],
  ['controller/src/roles', '../store/open.ts', false],
  ['manifests-src', '@miner/controller/gepetto/plan.ts', true],
  ['manifests-src', '@miner/controller/domain/chute.ts', false],
];

/** The files among these that break an import rule, found by linting them all at once. */
function refusedOf(files: readonly { path: string; content: string }[]): string {
  try {
    for (const { path, content } of files) writeFileSync(join(root, path), content);
    const args = [
      'lint',
      '--only=style/noRestrictedImports',
      '--max-diagnostics=none',
      ...files.map(({ path }) => path),
    ];
    const run = spawnSync(join(root, 'node_modules/.bin/biome'), args, { cwd: root, encoding: 'utf8' });
    return run.stdout + run.stderr;
  } finally {
    for (const { path } of files) rmSync(join(root, path), { force: true });
  }
}

test('imports against the arrow are refused, those along it allowed', () => {
  const probes = imports.map(([folder, from, refused], i) => ({
    path: `${folder}/zz-probe-${i}.ts`,
    content: uses(from),
    refused,
  }));
  const output = refusedOf(probes);
  for (const { path, content, refused } of probes) {
    assert.is(
      new RegExp(`${path}:\\d+:\\d+ lint/style/noRestrictedImports`).test(output),
      refused,
      `${path}: ${content}`,
    );
  }
});

test('every error code is documented with cause and fix, and no other is', () => {
  const documented = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `(E-[A-Z-]+)` \|/gm)].map(
    (m) => m[1],
  );
  const apiOnly = ['E-AUTH', 'E-LIMIT', 'E-REQUEST', 'E-NOT-FOUND', 'E-NOT-READY', 'E-INTERNAL'];
  assert.equal([...documented].sort(), [...errorCodes, ...apiOnly].sort());
});

test('every decision is listed', () => {
  const files = execFileSync('git', ['ls-files', 'docs/decisions'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  const list = readFileSync(join(root, 'docs/decisions/README.md'), 'utf8');
  for (const file of files) {
    const name = file.split('/').at(-1) ?? '';
    if (name !== 'README.md') assert.ok(list.includes(`(${name})`), name);
  }
});

test('the lockfile names no registry', () => {
  assert.not(/"resolved": "https?:/.test(readFileSync(join(root, 'package-lock.json'), 'utf8')));
});

test('the lockfile has every platform of every optional dependency, so that npm ci works everywhere', () => {
  const lock: { packages: Record<string, { optionalDependencies?: Record<string, string> }> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  );
  const present = new Set(Object.keys(lock.packages).map((path) => path.split('node_modules/').at(-1)));
  for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
    for (const name of Object.keys(optionalDependencies)) assert.ok(present.has(name), `${name}, optional for ${path}`);
  }
});

test.run();
