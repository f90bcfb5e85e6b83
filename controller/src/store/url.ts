// Where the database is. A command line is readable by everyone on the machine, so a URL with a password belongs into a file or the
// environment; no message here quotes one.

import { readFileSync } from 'node:fs';
import { MinerError } from '../domain/errors.ts';

export interface DatabaseUrlSource {
  /** As given on the command line; best without a password. */
  url?: string | undefined;
  /** A file that holds the URL and nothing else, for example a mounted Secret. */
  file?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** The variable to look at; POSTGRESQL when not given. */
  variable?: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new MinerError('E-CONFIG', `${file}: the file with the database URL cannot be read (${code})`);
  }
}

function checked(text: string, where: string): string {
  // Python programs name their driver in the scheme.
  const url = text.replace(/^(postgres(?:ql)?)\+\w+:/, '$1:');
  if (/^postgres(ql)?:\/\/[^/]/.test(url) && URL.canParse(url)) return url;
  throw new MinerError(
    'E-CONFIG',
    `${where}: found no database URL, allowed: postgres://user:password@host:port/database`,
  );
}

/**
 * The URL of the PostgreSQL database: `url`, else what `file` holds, else the environment's POSTGRESQL (also as Python programs
 * write it, `postgresql+asyncpg://`); undefined when none is given. Throws E-USAGE for `url` and `file` together, E-CONFIG for what
 * is no such URL.
 */
export function databaseUrl({ url, file, env, variable = 'POSTGRESQL' }: DatabaseUrlSource): string | undefined {
  if (url !== undefined && file !== undefined)
    throw new MinerError('E-USAGE', 'the database is given both as a URL and as a file; give one of them');
  if (url !== undefined) return checked(url, 'the option');
  if (file !== undefined) return checked(read(file), file);
  const text = env[variable];
  return text ? checked(text, `environment variable ${variable}`) : undefined;
}
