// What the repository promises about itself: import direction, error documentation, no words that do not belong here.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCodes } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Lints a file with this content at this place; true when an import rule refuses it. */
function importRefused(path: string, content: string): boolean {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  try {
    const run = spawnSync(join(root, 'node_modules/.bin/biome'), ['lint', '--only=style/noRestrictedImports', file], {
      cwd: root,
      encoding: 'utf8',
    });
    return /noRestrictedImports/.test(run.stdout + run.stderr) && run.status !== 0;
  } finally {
    rmSync(file);
  }
}

const uses = (from: string) => `import * as other from '${from}';\nexport const found = other;\n`;

for (const [path, from, refused] of [
  ['controller/src/domain/zz-probe.ts', '../gepetto/plan.ts', true],
  ['controller/src/gepetto/zz-probe.ts', '../store/open.ts', true],
  ['controller/src/gepetto/zz-probe.ts', '../domain/chute.ts', false],
  ['controller/src/store/zz-probe.ts', '../bus/inprocess.ts', true],
  ['controller/src/validator/zz-probe.ts', '../signing/sign.ts', false],
  ['controller/src/api/zz-probe.ts', '@miner/simulator/sr25519.ts', true],
  ['controller/src/roles/zz-probe.ts', '../store/open.ts', false],
  ['manifests-src/zz-probe.ts', '@miner/controller/gepetto/plan.ts', true],
  ['manifests-src/zz-probe.ts', '@miner/controller/domain/chute.ts', false],
] as const) {
  test(`the import of ${from} from ${path.replace('/zz-probe.ts', '')} is ${refused ? 'refused' : 'allowed'}`, () => {
    assert.is(importRefused(path, uses(from)), refused);
  });
}

test('every error code is documented with cause and fix, and no other is', () => {
  const documented = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `(E-[A-Z-]+)` \|/gm)].map(
    (m) => m[1],
  );
  const apiOnly = ['E-AUTH', 'E-REQUEST', 'E-NOT-FOUND', 'E-NOT-READY', 'E-INTERNAL'];
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
