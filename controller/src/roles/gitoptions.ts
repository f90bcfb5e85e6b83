// The options of the cluster repository: where it lives, how commits are signed, how long its history is kept. The credential comes from a
// file that is read for every call; it is on no command line and in no message.

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ClusterRepoOptions } from '../clusterrepo/clusterrepo.ts';
import { createSign } from '../clusterrepo/signature.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { type OptionValues, optional } from './role.ts';

export const gitOptions = {
  'git-url': { type: 'string' },
  'git-credential-file': { type: 'string' },
  'git-main-branch': { type: 'string' },
  'git-live-branch': { type: 'string' },
  'git-poll-seconds': { type: 'string' },
  'git-timeout-seconds': { type: 'string' },
  'git-author': { type: 'string' },
  'git-signing-home': { type: 'string' },
  'git-signing-key': { type: 'string' },
} as const;

export const gitHelp = `  --git-url URL            git host of the cluster repository, https:// or http://; without it the local repository is the one that counts
  --git-credential-file FILE   first line user:token; may be replaced while the miner runs
  --git-main-branch NAME, --git-live-branch NAME   what the branches are called there (default main, live)
  --git-poll-seconds N     between two looks at the git host (default 10)
  --git-timeout-seconds N  of one call of git (default 20)
  --git-author AUTHOR      of the commits, "Name <address>" (default gepetto <gepetto@localhost>)
  --git-signing-home FOLDER, --git-signing-key ID   sign commits with this key of this folder of gpg, which has no passphrase`;

export const gitUpkeepOptions = {
  'git-squash-days': { type: 'string' },
  'git-tidy-hours': { type: 'string' },
} as const;

export const gitUpkeepHelp = `  --git-squash-days N      history of live older than this becomes one commit under a tag, once a day; 0: never (default 30)
  --git-tidy-hours N       between two looks at the size of the local store (default 6)`;

function asNumber(min: number, max: number, initial: number) {
  const allowed = `a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,6}$/, allowed)
    .transform(Number)
    .pipe(z.number(allowed).min(min, allowed).max(max, allowed))
    .default(initial);
}

const fields = z.object({
  'git-url': z
    .string()
    .regex(/^https?:\/\/[^\s/]+\/\S+$/, 'an https:// or http:// URL of a repository')
    .refine(
      (url) => !/^https?:\/\/[^/]*@/.test(url),
      'a URL without user and token; they belong into --git-credential-file',
    )
    .optional(),
  'git-credential-file': z.string().min(1, 'a file').optional(),
  'git-main-branch': z.string().min(1, 'a branch').default('main'),
  'git-live-branch': z.string().min(1, 'a branch').default('live'),
  'git-poll-seconds': asNumber(1, 3_600, 10),
  'git-timeout-seconds': asNumber(1, 600, 20),
  'git-author': z
    .string()
    .regex(/^[^<>]*[^<>\s][^<>]*<[^<>\s]+>$/, '"Name <address>"')
    .optional(),
  'git-signing-home': z.string().min(1, 'a folder').optional(),
  'git-signing-key': z
    .string()
    .regex(/^(0x)?[0-9A-Fa-f]{8,64}$/, 'a fingerprint or key id in hex digits')
    .optional(),
  'git-squash-days': asNumber(0, 3_650, 30),
  'git-tidy-hours': asNumber(1, 720, 6),
});

export interface GitUpkeepOptions {
  /** Undefined: history is kept. */
  squashAgeMs: number | undefined;
  tidyEveryMs: number;
}

export type GitOptions = Pick<ClusterRepoOptions, 'remote' | 'author' | 'signing'> & { upkeep: GitUpkeepOptions };

const dayMs = 86_400_000;
const needsUrl = [
  'git-credential-file',
  'git-main-branch',
  'git-live-branch',
  'git-poll-seconds',
  'git-timeout-seconds',
];

function usage(message: string): MinerError {
  return new MinerError('E-USAGE', message);
}

/** A secret may be what is wrong with it, so nothing of the file is quoted. */
async function demandCredential(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usage(`--git-credential-file: ${file} cannot be read: ${error.code}`);
  });
  const [line = ''] = text.split('\n');
  if (!/^[^:\s]+:\S+\s*$/.test(line)) {
    throw usage(`--git-credential-file: ${file}: allowed: user:token on the first line`);
  }
}

async function demandKey(signing: NonNullable<GitOptions['signing']>): Promise<void> {
  try {
    await createSign(signing)(Buffer.from('a first try'));
  } catch (error) {
    throw usage(`--git-signing-key: ${messageOf(error)}`);
  }
}

/** Rejects with E-USAGE naming the option and what is allowed; a key that is given has signed once. */
export async function readGitOptions(values: OptionValues): Promise<GitOptions> {
  const given = Object.fromEntries(Object.entries(values).filter(([name]) => name in fields.shape));
  const parsed = fields.safeParse(given);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0] ?? { path: [], message: '' };
    const name = String(path[0]);
    // A URL may hold a password.
    const found = name === 'git-url' ? '' : `found ${JSON.stringify(given[name])}, `;
    throw usage(`--${name}: ${found}allowed: ${message}`);
  }
  const { data } = parsed;
  const url = data['git-url'];
  const alone = needsUrl.find((name) => url === undefined && optional(values, name) !== undefined);
  if (alone !== undefined) throw usage(`--${alone} is of no use without --git-url`);
  const credentialFile = data['git-credential-file'];
  if (credentialFile !== undefined) await demandCredential(credentialFile);
  const { 'git-signing-home': gpgHome, 'git-signing-key': keyId } = data;
  if ((gpgHome === undefined) !== (keyId === undefined)) {
    throw usage('--git-signing-home and --git-signing-key belong together');
  }
  const signing = gpgHome === undefined || keyId === undefined ? undefined : { gpgHome, keyId };
  if (signing) await demandKey(signing);
  const [, name = '', email = ''] = /^(.*?)\s*<(.*)>$/.exec(data['git-author'] ?? '') ?? [];
  return {
    remote:
      url === undefined
        ? undefined
        : {
            url,
            credentialFile,
            everyMs: data['git-poll-seconds'] * 1000,
            timeoutMs: data['git-timeout-seconds'] * 1000,
            branches: { main: data['git-main-branch'], live: data['git-live-branch'] },
          },
    author: name === '' ? undefined : { name, email },
    signing,
    upkeep: {
      squashAgeMs: data['git-squash-days'] === 0 ? undefined : data['git-squash-days'] * dayMs,
      tidyEveryMs: data['git-tidy-hours'] * 3_600_000,
    },
  };
}
