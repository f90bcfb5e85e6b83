// The command line that miners have today (`chutes-miner-cli` from PyPI), unmodified, in a virtual environment of its own: made once, kept
// under node_modules/.cache, every package pinned in requirements.txt. It is only ever run as a program.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MinerError } from '@miner/controller/domain/errors.ts';
import { takeLock } from '@miner/controller/store/lock.ts';
import { z } from 'zod';

const run = promisify(execFile);
const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));
const cacheFolder = fileURLToPath(new URL('../../../node_modules/.cache/upstream-cli', import.meta.url));
const installTimeoutMs = 200_000;
const probe = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';

export interface UpstreamCli {
  /** Path of the program `chutes-miner`. */
  program: string;
  version: string;
  /** Python it runs on, for example `3.12`. */
  python: string;
}

export interface FoundPython {
  path: string;
  /** `major.minor`. */
  version: string;
}

const ready = z.object({ version: z.string(), python: z.string(), requirements: z.string() });

/** Versions that all pinned packages have wheels for. The CLI asks for 3.12 or later, and runs unchanged on 3.11. */
const usable = ['3.13', '3.12', '3.11'];

/** The newest that can be used, and whether pip must be told to ignore what the package asks for. */
export function choosePython(found: readonly FoundPython[]): { python: FoundPython; ignoreRequirement: boolean } {
  for (const version of usable) {
    const python = found.find((one) => one.version === version);
    if (python) return { python, ignoreRequirement: version === '3.11' };
  }
  const seen = found.map(({ version }) => version).join(' ') || 'none';
  throw new Error(`the upstream CLI needs Python ${usable.join(', ')} with venv (python3-venv); found: ${seen}`);
}

async function findPythons(): Promise<FoundPython[]> {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  const named = [...usable.map((version) => `python${version}`), 'python3', '/usr/bin/python3'];
  const candidates = [...named, ...globSync(join(pyenv, '*/bin/python3'))];
  const probed = candidates.map(async (path): Promise<FoundPython[]> => {
    try {
      const { stdout } = await run(path, ['-c', probe], { timeout: 20_000 });
      return [{ path, version: stdout.trim() }];
    } catch {
      return [];
    }
  });
  return (await Promise.all(probed)).flat();
}

/** Version that requirements.txt pins. */
function pinnedVersion(text: string): string {
  const version = /^chutes-miner-cli==(\S+)/m.exec(text)?.[1];
  if (version === undefined) throw new Error(`${requirements} does not pin chutes-miner-cli`);
  return version;
}

function installed(folder: string, wanted: string): UpstreamCli | undefined {
  const program = join(folder, 'bin/chutes-miner');
  try {
    const found = ready.parse(JSON.parse(readFileSync(join(folder, 'ready.json'), 'utf8')));
    // The interpreter is a link, which leads nowhere after an upgrade of Python.
    if (found.requirements !== wanted || !existsSync(program) || !existsSync(join(folder, 'bin/python')))
      return undefined;
    return { program, version: found.version, python: found.python };
  } catch {
    return undefined;
  }
}

/** Waits while another process installs. */
async function locked<T>(folder: string, action: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + installTimeoutMs; ; ) {
    try {
      const release = await takeLock(`${folder}.lock`);
      return await action().finally(release);
    } catch (error) {
      const isHeld = error instanceof MinerError && error.code === 'E-IN-USE';
      if (!isHeld || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function install(folder: string, version: string, wanted: string): Promise<void> {
  const { python, ignoreRequirement } = choosePython(await findPythons());
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const timeout = installTimeoutMs;
  await run(python.path, ['-m', 'venv', folder], { timeout });
  const flags = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:'];
  if (ignoreRequirement) flags.push('--ignore-requires-python');
  await run(join(folder, 'bin/python'), ['-m', 'pip', 'install', ...flags, '-r', requirements], { timeout });
  writeFileSync(join(folder, 'ready.json'), JSON.stringify({ version, python: python.version, requirements: wanted }));
}

/** Install unless that is done already. Rejects when no usable Python is found, or with pip's own words. */
export async function upstreamCli(folder: string = cacheFolder): Promise<UpstreamCli> {
  const text = readFileSync(requirements, 'utf8');
  const version = pinnedVersion(text);
  const wanted = createHash('sha256').update(text).digest('hex');
  const found = installed(folder, wanted);
  if (found) return found;
  mkdirSync(join(folder, '..'), { recursive: true });
  return locked(folder, async () => {
    if (!installed(folder, wanted)) await install(folder, version, wanted);
    const made = installed(folder, wanted);
    if (!made) throw new Error(`pip left no program chutes-miner in ${folder}`);
    return made;
  });
}
