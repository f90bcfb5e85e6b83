// `npm run e2e [-- PART …]`: builds what is missing, runs every *.e2e.ts whose path has one of the parts, and closes with `N passed, N failed`.
// Those in `node/`, which need root and more programs, are `npm run e2e:node`, with the option --node.
// What a file prints is shown as it comes; E2E_KEEP=1 keeps the logs of all processes also when nothing failed.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureTools } from './cluster/tools.ts';

const folder = dirname(fileURLToPath(import.meta.url));
const fileTimeoutMs = 25 * 60_000;

interface Counts {
  passed: number;
  failed: number;
}

/** A file that dies, or runs no test, counts as one failure. */
function runFile(file: string): Promise<Counts> {
  const flags = ['--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, join(folder, file)], { timeout: fileTimeoutMs });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
      process.stdout.write(chunk);
    });
  }
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const counts = /Total:\s+(\d+)[\s\S]*?Passed:\s+(\d+)/.exec(output);
      const [total, passed] = [Number(counts?.[1] ?? 0), Number(counts?.[2] ?? 0)];
      const died = total === 0 || (code !== 0 && total === passed);
      resolve({ passed, failed: total - passed + Number(died) });
    });
  });
}

const onNode = process.argv[2] === '--node';
const parts = process.argv.slice(onNode ? 3 : 2);
const files = globSync('**/*.e2e.ts', { cwd: folder })
  .filter((file) => file.startsWith('node/') === onNode)
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();
await ensureTools({ node: onNode, tell: console.log });
const sum: Counts = { passed: 0, failed: 0 };
for (const file of files) {
  console.log(`${file} …`);
  const { passed, failed } = await runFile(file);
  sum.passed += passed;
  sum.failed += failed;
}
if (files.length === 0) console.log('no file matches');
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exit(files.length > 0 && sum.failed === 0 ? 0 : 1);
