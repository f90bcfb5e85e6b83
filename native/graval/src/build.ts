// Builds the addon with CMake and the compiler of the machine, from the headers that npm installed; nothing is downloaded.
// `npm run graval:build`; tests call `buildAddon` themselves, which costs nothing when no source is newer than the addon.

import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GravalError } from './backend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = ['CMakeLists.txt', 'cpp/*', 'cuda/*', 'build/kernels.fatbin'];

/** Where the built addon lies. */
export const addonPath = `${root}build/addon/graval.node`;

function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function isFresh(): boolean {
  const built = changedAt(addonPath);
  return built > 0 && globSync(sources, { cwd: root }).every((path) => changedAt(`${root}${path}`) <= built);
}

function includeOf(name: string): string {
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

/** Throws NO_LIBRARY with the compiler's output when it does not build. Two at the same time: the second waits for the first. */
export function buildAddon(): void {
  if (isFresh()) return;
  const folder = dirname(addonPath);
  mkdirSync(folder, { recursive: true });
  const script = `cmake -S "$1" -B "$2" "-DNODE_API_HEADERS=$3/include" "-DNODE_ADDON_API=$4" && cmake --build "$2" --parallel 2 && touch "$2/graval.node"`;
  const values = [root, folder, includeOf('node-api-headers'), includeOf('node-addon-api')];
  const lock = `${folder}.lock`;
  const made = spawnSync('flock', [lock, 'nice', '-n', '5', 'sh', '-c', script, 'sh', ...values], { encoding: 'utf8' });
  if (made.status === 0) return;
  const said = `${made.stdout ?? ''}${made.stderr ?? ''}${made.error ?? ''}`.trim().slice(-4000);
  throw new GravalError('NO_LIBRARY', `the addon does not build; it needs cmake, make, g++ and flock:\n${said}`);
}

if (import.meta.main) {
  buildAddon();
  console.log(addonPath);
}
