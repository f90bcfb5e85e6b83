// The sources of an older commit, unpacked so that they run: with the libraries of this checkout, and their own workspaces in the place of ours.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
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

/** Throws when the history of this checkout does not reach back to the commit. */
export function unpackCommit(commit: string, dir: string): string {
  mkdirSync(dir, { recursive: true });
  const archive = execFileSync('git', ['-C', currentProgram, 'archive', commit], { maxBuffer: 2 ** 28 });
  execFileSync('tar', ['-x', '-C', dir], { input: archive });
  const { workspaces } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { workspaces: string[] };
  for (const workspace of ['.', ...workspaces]) {
    const libraries = join(currentProgram, workspace, 'node_modules');
    linkAll(libraries, join(dir, workspace, 'node_modules'), librariesOf(libraries));
  }
  const own = join(dir, 'node_modules', scope);
  mkdirSync(own);
  for (const workspace of workspaces) {
    const { name } = JSON.parse(readFileSync(join(dir, workspace, 'package.json'), 'utf8')) as { name: string };
    symlinkSync(join(dir, workspace), join(dir, 'node_modules', name));
  }
  return dir;
}
