// Everything that must hold before a commit, in under a minute: format, lint and import direction (Biome), types, fast tests with golden
// manifests. Prints one line a step; a failing step prints its output and the rest still runs.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => `${root}node_modules/.bin/${name}`;

const steps: [name: string, command: string, ...args: string[]][] = [
  ['format, lint, import direction', bin('biome'), 'check', '--error-on-warnings', '.'],
  ['types', bin('tsc')],
  ['fast tests and golden manifests', process.execPath, `${root}scripts/test.ts`, 'fast'],
];

let failed = 0;
const started = performance.now();
for (const [name, command, ...args] of steps) {
  const from = performance.now();
  const run = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  console.log(`${run.status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (run.status !== 0) {
    failed += 1;
    console.log(run.stdout, run.stderr, run.error?.message ?? '');
  }
}
console.log(
  `check: ${failed === 0 ? 'all good' : `${failed} failed`} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
process.exit(failed === 0 ? 0 : 1);
