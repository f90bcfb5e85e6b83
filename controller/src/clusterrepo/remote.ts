// The git host: heads, fetch, and a push that is a compare-and-swap, by the git program and for the common push over HTTP without it.
// Says what happened and decides nothing; after `unknown` the push may or may not have arrived.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import { openHttpPush } from './httppush.ts';
import { type GitProgram, openGitProgram, type ProgramResult } from './program.ts';

export interface RemoteOptions {
  /** `https://`, `http://`, `ssh://` or `file://`, without credentials in it. */
  url: string;
  /** Its first line is `user:token`; read for every call, so it may be replaced at any time. */
  credentialFile?: string | undefined;
  /** Of one call of git, ms. Default 20,000. */
  timeoutMs?: number | undefined;
  /** Between two looks at the remote, ms. Default 10,000. */
  everyMs?: number | undefined;
  /** What the two branches are called there; the same as here when not given. */
  branches?: { main: string; live: string } | undefined;
}

export const remoteDefaults = { timeoutMs: 20_000, everyMs: 10_000 };

/** Commits fetched of each branch at first; `readLastGoodMain` looks no further back than that. */
const firstDepth = 100;
const slowest = 60_000;

const branchName = z
  .string()
  .regex(/^(?![-./])(?!.*(\.\.|\/\/|@\{|\.lock$))[\w./-]+(?<![./])$/, 'is no name of a branch');

const shape = z.object({
  url: z.string().regex(/^(https?|ssh|file):\/\/[^\s]+$/, 'must begin with https://, http://, ssh:// or file://'),
  credentialFile: z.string().min(1).optional(),
  timeoutMs: z.number().int().positive().optional(),
  everyMs: z.number().int().positive().optional(),
  branches: z
    .object({ main: branchName, live: branchName })
    .refine(({ main, live }) => main !== live, 'must be two different ones')
    .optional(),
});

export interface PushedRef {
  /** Full name, `refs/…`. */
  ref: string;
  commit: string;
  /** Where it must be at, undefined for nowhere; `any` replaces whatever is there. */
  expected: string | undefined | 'any';
}

export type PushOutcome =
  | { kind: 'moved' }
  | { kind: 'refused'; reason: string; raced: boolean }
  | { kind: 'unknown'; reason: string; timedOut: boolean };

export interface Remote {
  readonly url: string;
  readonly git: GitProgram;
  /** Full name on the remote of a ref as it is called here. */
  nameOf(ref: string): string;
  /** By full name; rejects with E-GIT-REPOSITORY when the remote does not answer. */
  heads(refs: readonly string[]): Promise<Map<string, string>>;
  /** Into refs/remotes/origin; rejects with E-GIT-REPOSITORY. */
  fetch(branches: readonly string[], depth: 'first' | 'more' | 'all'): Promise<void>;
  /** All refs or none. `pack` makes a pack of everything that is new with them. */
  push(refs: readonly PushedRef[], pack: () => Buffer): Promise<PushOutcome>;
}

export function trackingRef(branch: string): string {
  return `refs/remotes/origin/${branch}`;
}

/** Rejects with E-USAGE; the message never repeats the URL, which may hold a password. */
function demandRemote(options: RemoteOptions): z.infer<typeof shape> {
  const parsed = shape.safeParse(options);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0] ?? { path: ['url'], message: 'is wrong' };
    throw new MinerError('E-USAGE', `remote of the cluster repository: ${path.join('.')} ${message}`);
  }
  if (/^https?:\/\/[^/]*@/.test(options.url) || /^[a-z]+:\/\/[^/]*:[^/@]*@/.test(options.url)) {
    throw new MinerError('E-USAGE', 'the URL of the cluster repository holds credentials; they belong into their file');
  }
  return parsed.data;
}

/** Words of git and of git hosts for "somebody was faster". */
const racedWords =
  /stale info|fetch first|non-fast-forward|already exists|cannot lock ref|failed to update ref|incorrect old value|reference already|failed to lock/;

function outcomeOf(result: ProgramResult, reason: string): PushOutcome {
  if (result.code === 0) return { kind: 'moved' };
  const refused = result.stdout.split('\n').filter((line) => line.startsWith('!\t'));
  const told = refused.map((line) => line.split('\t')[2] ?? '').find((line) => !line.includes('atomic'));
  // "remote failed to report status" and the like are no refusals.
  if (refused.length === 0 || result.timedOut || /remote failure|failed to report/.test(refused.join()))
    return { kind: 'unknown', reason, timedOut: result.timedOut };
  return { kind: 'refused', reason: told ?? reason, raced: racedWords.test(refused.join('\n')) };
}

function isFound(entry: readonly [string, string | undefined]): entry is [string, string] {
  return entry[1] !== undefined;
}

export function openRemote(gitdir: string, options: RemoteOptions): Remote {
  const { url, credentialFile, branches, timeoutMs = remoteDefaults.timeoutMs } = demandRemote(options);
  const there = new Map(
    Object.entries(branches ?? {}).map(([here, name]) => [`refs/heads/${here}`, `refs/heads/${name}`]),
  );
  const nameOf = (ref: string) => there.get(ref) ?? ref;
  const git = openGitProgram(gitdir, timeoutMs, credentialFile);
  const isRaced = (why: string) => racedWords.test(why);
  const pushByHttp = /^https?:/.test(url) ? openHttpPush({ url, credentialFile, timeoutMs }, isRaced) : undefined;

  async function fault(result: ProgramResult): Promise<MinerError> {
    const said = await git.reasonOf(result);
    const denied = /Authentication failed|could not read (Username|Password)|error: 40[13]/.test(result.stderr);
    const why = denied
      ? `the credentials were not accepted (${credentialFile ?? 'none are configured'}): ${said}`
      : said;
    return new MinerError('E-GIT-REPOSITORY', `git remote ${url}: ${why}`, {
      detail: { url, timedOut: result.timedOut, denied },
    });
  }

  /** A git that was killed leaves its locks; nobody else writes this store. */
  async function clearLocks(branches: readonly string[]): Promise<void> {
    const locks = ['shallow.lock', 'packed-refs.lock', ...branches.map((branch) => `${trackingRef(branch)}.lock`)];
    for (const lock of locks) await rm(join(gitdir, lock), { force: true });
  }

  return {
    url,
    git,
    nameOf,
    async heads(refs) {
      const result = await git.run(['ls-remote', '--refs', url, ...refs.map(nameOf)]);
      if (result.code !== 0) throw await fault(result);
      const found = new Map(result.stdout.split('\n').map((line) => line.split('\t').reverse() as [string, string]));
      return new Map(refs.flatMap((ref) => [[ref, found.get(nameOf(ref))] as const]).filter(isFound));
    },
    async fetch(branches, depth) {
      await clearLocks(branches);
      const depths = { first: [`--depth=${firstDepth}`], more: [], all: ['--unshallow'] };
      const refspecs = branches.map((branch) => `+${nameOf(`refs/heads/${branch}`)}:${trackingRef(branch)}`);
      const flags = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', ...depths[depth]];
      // The first copy is large and nothing waits for it.
      const limit = depth === 'more' ? timeoutMs : Math.max(slowest, timeoutMs * 3);
      const result = await git.run(['fetch', ...flags, url, ...refspecs], limit);
      if (result.code !== 0) throw await fault(result);
    },
    async push(refs, pack) {
      const [only, ...others] = refs;
      if (pushByHttp && only && others.length === 0 && only.expected !== 'any') {
        const outcome = await pushByHttp({ ...only, expected: only.expected, pack: pack() });
        if (outcome) return outcome;
      }
      const leases = refs.flatMap(({ ref, expected }) =>
        expected === 'any' ? [] : [`--force-with-lease=${nameOf(ref)}:${expected ?? ''}`],
      );
      const refspecs = refs.map(
        ({ ref, commit, expected }) => `${expected === 'any' ? '+' : ''}${commit}:${nameOf(ref)}`,
      );
      const atomic = refs.length > 1 ? ['--atomic'] : [];
      const result = await git.run(['push', '--porcelain', '--no-verify', ...atomic, ...leases, url, ...refspecs]);
      return outcomeOf(result, result.code === 0 ? '' : (await fault(result)).message);
    },
  };
}
