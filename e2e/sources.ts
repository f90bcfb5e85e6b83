// Other sources than those of this checkout, laid out so that they run: an older commit, or a copy to be changed.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { currentProgram } from './bootstrap.ts';

const scope = '@miner';

function linkAll(from: string, to: string, names: readonly string[]): void {
  mkdirSync(to, { recursive: true });
  for (const name of names) symlinkSync(join(from, name), join(to, name));
}

/** Names below `node_modules`, but those of our own workspaces. */
function librariesOf(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name !== scope);
  } catch {
    return [];
  }
}

/** Makes sources without libraries run: with those of this checkout, and their own workspaces. */
function furnish(dir: string): string {
  const { workspaces } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { workspaces: string[] };
  for (const workspace of ['.', ...workspaces]) {
    const libraries = join(currentProgram, workspace, 'node_modules');
    linkAll(libraries, join(dir, workspace, 'node_modules'), librariesOf(libraries));
  }
  mkdirSync(join(dir, 'node_modules', scope));
  for (const workspace of workspaces) {
    const { name } = JSON.parse(readFileSync(join(dir, workspace, 'package.json'), 'utf8')) as { name: string };
    symlinkSync(join(dir, workspace), join(dir, 'node_modules', name));
  }
  return dir;
}

/** Throws when the history of this checkout does not reach back to the commit. */
export function unpackCommit(commit: string, dir: string): string {
  mkdirSync(dir, { recursive: true });
  const archive = execFileSync('git', ['-C', currentProgram, 'archive', commit], { maxBuffer: 2 ** 28 });
  execFileSync('tar', ['-x', '-C', dir], { input: archive });
  return furnish(dir);
}

/** The sources of this checkout as they are now, to be changed. */
export function copySources(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const list = ['-C', currentProgram, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const names = execFileSync('git', list, { maxBuffer: 2 ** 28 })
    .toString()
    .split('\0');
  for (const name of names.filter((one) => one !== '' && existsSync(join(currentProgram, one))))
    cpSync(join(currentProgram, name), join(dir, name));
  return furnish(dir);
}
