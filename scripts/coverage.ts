// Branch coverage of the parts that decide and write, by the tests of all tiers beside them. Prints a table and fails under the limit.
// Usage: coverage.ts [part of a path …]: only the tests of these paths, and no limit.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const folders = ['controller/src/gepetto', 'controller/src/clusterrepo'];
const leastPercent = 95;
/** Only tests and benchmarks use these. */
const helpers = ['**/*.test.ts', '**/testing/**', '**/fixture*.ts', '**/fixtures/**', '**/gepetto/rules/**'];

const counts = z.object({ total: z.number(), covered: z.number() });
const summary = z.record(z.string(), z.object({ branches: counts, lines: counts }));

const root = fileURLToPath(new URL('..', import.meta.url));

function run(args: readonly string[], env: NodeJS.ProcessEnv = process.env): boolean {
  return spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status === 0;
}

function report(dir: string): z.infer<typeof summary> {
  const repeated = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value]);
  const done = run([
    'node_modules/c8/bin/c8.js',
    'report',
    '--all',
    ...['--temp-directory', join(dir, 'raw'), '--reports-dir', dir],
    ...['--reporter', 'json-summary', '--reporter', 'text'],
    ...repeated('--src', folders),
    ...repeated(
      '--include',
      folders.map((folder) => `${folder}/**/*.ts`),
    ),
    ...repeated('--exclude', helpers),
  ]);
  if (!done) throw new Error('c8 could not report');
  return summary.parse(JSON.parse(readFileSync(join(dir, 'coverage-summary.json'), 'utf8')));
}

/** Percent of the branches below a folder. */
function branchesOf(files: z.infer<typeof summary>, folder: string): number {
  const inside = Object.entries(files).filter(([path]) => path.startsWith(join(root, folder)));
  const sum = (key: 'total' | 'covered') => inside.reduce((total, [, { branches }]) => total + branches[key], 0);
  return (100 * sum('covered')) / Math.max(1, sum('total'));
}

const asked = process.argv.slice(2);
const dir = mkdtempSync(join(tmpdir(), 'miner-coverage-'));
let good: boolean;
try {
  const env = { ...process.env, NODE_V8_COVERAGE: join(dir, 'raw') };
  good = run(['scripts/test.ts', 'all', ...(asked.length > 0 ? asked : folders)], env);
  const files = report(dir);
  for (const folder of folders) {
    const percent = branchesOf(files, folder);
    if (asked.length === 0 && percent < leastPercent) good = false;
    console.log(`${folder}: ${percent.toFixed(2)} % of branches, at least ${leastPercent} % wanted`);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(good ? 0 : 1);
