// Runs test files, each in a process of its own, two at a time, and closes with `N passed, N failed`.
// Usage: test.ts [fast|slow|long|golden|all] [part of a path …]. Fast: *.test.ts; slow: *.slow.test.ts (real servers, whole demo runs);
// long: *.long.test.ts (outages, foreign programs, several processes). Without a tier: fast and slow, or every file that matches.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const tiers: Record<string, (file: string) => boolean> = {
  fast: (file) => !/\.(slow|long)\.test\.ts$/.test(file),
  slow: (file) => file.endsWith('.slow.test.ts'),
  long: (file) => file.endsWith('.long.test.ts'),
  all: () => true,
  golden: (file) => file.endsWith('golden.test.ts'),
};
/** Some of the long ones wait for a foreign program that does minutes of work. */
const fileTimeoutMs = (file: string) => (file.endsWith('.long.test.ts') ? 600_000 : 240_000);

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  ms: number;
  output: string;
}

function runFile(file: string): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const flags = ['--disable-warning=ExperimentalWarning', '--import', './scripts/property-seed.ts'];
    const child = spawn(process.execPath, [...flags, file], { timeout: fileTimeoutMs(file) });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('close', (code, signal) => {
      const counts = /Total:\s+(\d+)[\s\S]*?Passed:\s+(\d+)[\s\S]*?Skipped:\s+(\d+)/.exec(output);
      const total = Number(counts?.[1] ?? 0);
      const passed = Number(counts?.[2] ?? 0);
      // A skipped test is no passed test, and a file that ran none or died counts as one failure.
      let failed = total - passed;
      if (failed === 0 && (code !== 0 || total === 0)) failed = 1;
      if (signal) output += `\nended by ${signal} after ${fileTimeoutMs(file) / 1000} s\n`;
      resolve({ file, passed, failed, ms: performance.now() - started, output });
    });
  });
}

function lengthOf(file: string): number {
  return file.endsWith('.long.test.ts') ? 2 : Number(file.endsWith('.slow.test.ts'));
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const tier = tiers[args[0] ?? ''] ? (args.shift() ?? '') : '';
  const unnamed = (file: string) => args.length > 0 || lengthOf(file) < 2;
  const files = globSync('{controller,cli,manifests-src,simulator,native,scripts,cluster-repo-template}/**/*.test.ts', {
    exclude: (path) => path.includes('node_modules'),
  })
    .filter((file) => (tiers[tier] ?? unnamed)(file))
    .filter((file) => args.length === 0 || args.some((part) => file.includes(part)))
    // What takes longest begins first, so that both workers end at about the same time.
    .sort((a, b) => lengthOf(b) - lengthOf(a) || a.localeCompare(b));
  const queue = [...files];
  const outcomes: Outcome[] = [];
  async function worker(): Promise<void> {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const outcome = await runFile(file);
      outcomes.push(outcome);
      const mark = outcome.failed === 0 ? 'ok  ' : 'FAIL';
      console.log(`${mark} ${file} (${outcome.passed} tests, ${(outcome.ms / 1000).toFixed(1)} s)`);
      if (outcome.failed > 0) console.log(outcome.output);
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  const sum = (key: 'passed' | 'failed') => outcomes.reduce((total, outcome) => total + outcome[key], 0);
  if (files.length === 0) console.log('no test file matches');
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exit(files.length > 0 && sum('failed') === 0 ? 0 : 1);
}

await main();
