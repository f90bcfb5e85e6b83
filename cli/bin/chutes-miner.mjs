#!/usr/bin/env node
// Starts the program with a Node that runs TypeScript: this one, or the one that is installed beside it. Must itself run on Node 18.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  const module = await import('node:module');
  // Compiled code is kept between calls, beside the other caches of this installation.
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? join(here, '../../node_modules/.cache/compiled'));
  await import('../src/main.ts');
} else {
  const node = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin/node');
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; the child decides when it is done.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 128 : 1)));
}
