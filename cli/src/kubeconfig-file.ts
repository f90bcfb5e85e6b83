// The kubeconfig file: changed under kubectl's own lock (`<file>.lock`), mode 0600, replaced as a whole, with the previous one beside it.

import { mkdir, open, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Context, flag, type OptionSpec, text } from './command.ts';
import { CliError, usageError } from './errors.ts';
import { conflicts, type Kubeconfig, mergeKubeconfigs, parseKubeconfig } from './kubeconfig.ts';
import { confirm } from './prompt.ts';

export const fileOptions: readonly OptionSpec[] = [
  {
    flags: '--path <file>',
    description: 'kubeconfig file (default: first of $KUBECONFIG, else ~/.kube/chutes.config)',
  },
  { flags: '--overwrite', description: 'let new entries replace others of the same name' },
];

const lockAttempts = 50;
const lockPauseMs = 100;

/** An explicit --path wins over $KUBECONFIG. */
function kubeconfigPath({ values, io }: Context): string {
  const home = io.env.HOME || homedir();
  const first = io.env.KUBECONFIG?.split(':').find((part) => part !== '');
  const path = text(values, 'path') ?? first ?? join(home, '.kube', 'chutes.config');
  return path.replace(/^~(?=\/)/, home);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw fileError(path, error);
  }
}

function fileError(path: string, cause: unknown): CliError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
  return new CliError('E-KUBECONFIG', `${path} cannot be read or written (${reason})`, { cause });
}

async function lock(path: string): Promise<() => Promise<void>> {
  const lockFile = `${path}.lock`;
  for (let attempt = 1; ; attempt++) {
    try {
      await (await open(lockFile, 'wx', 0o600)).close();
      return () => rm(lockFile, { force: true });
    } catch (error) {
      const isHeld = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (!isHeld) throw fileError(lockFile, error);
      if (attempt === lockAttempts) {
        const hint = `if no kubectl or chutes-miner is running, remove ${lockFile}`;
        throw new CliError('E-KUBECONFIG', `${path} is locked by another program`, { outcome: 'conflict', hint });
      }
      await new Promise((resolve) => setTimeout(resolve, lockPauseMs));
    }
  }
}

async function replaceFile(path: string, content: string, previous: string | undefined): Promise<void> {
  try {
    if (previous !== undefined) {
      await rm(`${path}.bak`, { force: true });
      await writeFile(`${path}.bak`, previous, { mode: 0o600 });
    }
    const fresh = `${path}.${process.pid}.new`;
    await writeFile(fresh, content, { mode: 0o600 });
    await rename(fresh, path);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Merge `from` into the file, or put it in its place with --replace, after asking. */
export async function writeKubeconfig(context: Context, from: Kubeconfig): Promise<undefined> {
  const { values, out } = context;
  const isReplacing = flag(values, 'replace');
  if (isReplacing && flag(values, 'overwrite')) throw usageError('--replace and --overwrite exclude each other');
  const given = kubeconfigPath(context);
  // A link stays a link.
  const path = await realpath(given).catch(() => given);
  const names = from.contexts.map(({ name }) => name);
  const action = isReplacing ? `replace ${given} as a whole` : `merge ${names.length} context(s) into ${given}`;
  await confirm(context, { action, targets: names.map((name) => `context ${name}`) });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const unlock = await lock(path);
  try {
    const previous = await readIfThere(path);
    const into = isReplacing ? await parseKubeconfig({}, given) : await parseKubeconfig(previous, given);
    const taken = conflicts(into, from);
    if (taken.length > 0 && !flag(values, 'overwrite')) {
      throw new CliError('E-KUBECONFIG', `${given} has other entries of the same name: ${taken.join(', ')}`, {
        outcome: 'conflict',
        hint: 'add --overwrite to let the new ones replace them',
      });
    }
    const { stringify } = await import('yaml');
    const content = stringify(mergeKubeconfigs(into, from), { lineWidth: 0 });
    await replaceFile(path, content, previous);
    const backup = previous === undefined ? undefined : `${path}.bak`;
    const text = `✓ ${names.length} context(s) written to ${given}${backup ? ` (previous file: ${backup})` : ''}`;
    await out.showText({ path: given, contexts: names, backup: backup ?? null }, text, names);
  } finally {
    await unlock();
  }
}
