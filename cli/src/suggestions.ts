// Names for completion, from the miner API; kept for a minute, so that a line of tabs asks once. Never fails: no answer, no names.

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { gpuTable } from '@miner/controller/domain/gputable.ts';
import type { Io } from './command.ts';
import { globalOptions } from './globals.ts';

export interface Suggestions {
  servers: readonly string[];
  deployments: readonly string[];
  chutes: readonly string[];
  gpuRefs: readonly string[];
}

const keepMs = 60_000;
const timeoutSeconds = 2;

/** The value of a global option as the line has it so far, else of the environment, else the default. */
function optionOf(words: readonly string[], long: string, io: Io): string | undefined {
  const at = words.lastIndexOf(long);
  const inline = words.find((word) => word.startsWith(`${long}=`))?.slice(long.length + 1);
  const spec = globalOptions.find(({ flags }) => flags.startsWith(`${long} `));
  const given = at >= 0 && at < words.length - 2 ? words[at + 1] : inline;
  return given || (spec?.env && io.env[spec.env]) || (typeof spec?.default === 'string' ? spec.default : undefined);
}

async function ask(hotkey: string, minerApi: string, io: Io): Promise<Suggestions> {
  const { createContext } = await import('./context.ts');
  const { chuteName, deploymentsOf, readServers } = await import('./inventory.ts');
  const values = { hotkey, minerApi, timeout: timeoutSeconds };
  const context = createContext({ io, args: [], values, onInterrupt: () => undefined });
  const servers = await readServers(await context.miner());
  const placed = deploymentsOf(servers).map(({ deployment }) => deployment);
  return {
    servers: servers.map(({ name }) => name),
    deployments: placed.map(({ deployment_id }) => deployment_id),
    chutes: [...new Set(placed.map(chuteName))],
    gpuRefs: [],
  };
}

async function cached(file: string, io: Io, make: () => Promise<Suggestions>): Promise<Suggestions> {
  const age = await stat(file).then(
    ({ mtimeMs }) => io.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age < keepMs) return JSON.parse(await readFile(file, 'utf8')) as Suggestions;
  const fresh = await make();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(fresh), { mode: 0o600 });
  return fresh;
}

export async function readSuggestions(words: readonly string[], io: Io): Promise<Suggestions> {
  const gpuRefs = gpuTable.map(({ ref }) => ref);
  const nothing: Suggestions = { servers: [], deployments: [], chutes: [], gpuRefs };
  const hotkey = optionOf(words, '--hotkey', io);
  const minerApi = optionOf(words, '--miner-api', io);
  if (!hotkey || !minerApi) return nothing;
  const folder = join(io.env.XDG_CACHE_HOME || join(io.env.HOME || homedir(), '.cache'), 'chutes-miner');
  const file = join(folder, `names-${encodeURIComponent(minerApi).replace(/%/g, '_')}.json`);
  try {
    return { ...(await cached(file, io, () => ask(hotkey, minerApi, io))), gpuRefs };
  } catch {
    return nothing;
  }
}
