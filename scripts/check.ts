// Everything that must hold before a commit, in under a minute: format, lint and import direction (Biome) and types side by side, then the
// fast tests with golden manifests. Prints one line a step; a failing step prints its output and the rest still runs.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => `${root}node_modules/.bin/${name}`;

let failed = 0;
const started = performance.now();
const secondsSince = (from: number) => ((performance.now() - from) / 1000).toFixed(1);

function step(name: string, command: string, ...args: string[]): Promise<void> {
  const from = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer | Error) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', collect);
    child.on('close', (code) => {
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${secondsSince(from)} s)`);
      if (code !== 0) {
        failed += 1;
        console.log(output);
      }
      resolve();
    });
  });
}

await Promise.all([
  step('format, lint, import direction', bin('biome'), 'check', '--error-on-warnings', '.'),
  step('types', bin('tsc')),
]);
await step('fast tests and golden manifests', process.execPath, `${root}scripts/test.ts`, 'fast');
console.log(`check: ${failed === 0 ? 'all good' : `${failed} failed`} in ${secondsSince(started)} s`);
process.exit(failed === 0 ? 0 : 1);
