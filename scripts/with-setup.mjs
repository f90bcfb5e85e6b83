// Runs a TypeScript program of this repository with the pinned Node, after setting up what is missing: the dependencies, and a cache of
// compiled code. This file itself must run on Node 18 and later. Usage: node scripts/with-setup.mjs PROGRAM [ARGUMENT …]

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, 'node_modules/node/bin/node');
const installed = join(root, 'node_modules/.package-lock.json');
const compiled = join(root, 'node_modules/.cache/compiled');
const env = { NODE_COMPILE_CACHE: compiled, ...process.env };
const quiet = '--disable-warning=ExperimentalWarning';

function isInstalled() {
  return (
    existsSync(node) &&
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
  );
}

function install() {
  process.stderr.write('Installing dependencies (npm ci), about a minute …\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (npm.status === 0) return;
  process.stderr.write('npm ci failed; its output above says why.\n');
  process.exit(1);
}

/** Compiled code is kept between runs, which halves the time of a start; this is the first start, taken in advance. */
function compile() {
  const roles = ['all', 'controller', 'gepetto'].map((name) => `controller/src/roles/${name}.ts`);
  const modules = [...roles, 'simulator/src/demo/world.ts'];
  const load = modules.map((path) => `await import(${JSON.stringify(pathToFileURL(join(root, path)).href)});`);
  spawnSync(node, [quiet, '--input-type=module', '-e', `${load.join('')}process.exit(0)`], { env, stdio: 'ignore' });
}

if (!isInstalled()) install();
if (!existsSync(compiled)) compile();

const [program, ...args] = process.argv.slice(2);
const child = spawn(node, [quiet, join(root, program), ...args], { stdio: 'inherit', env });
// The terminal sends Ctrl-C to the whole group; the child decides when it is done.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 128 : 1)));
