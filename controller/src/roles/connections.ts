// What controller and Gepetto share when they run apart: the database, the event stream, the cluster repository, and the token of the link
// between them. Secrets come from files or the environment, never from the command line.

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { demandRedisUrl } from '../bus/connection.ts';
import { createRedisBus, type RedisBus } from '../bus/redis.ts';
import type { OpenClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Store } from '../domain/ports.ts';
import { openStore } from '../store/open.ts';
import { databaseUrl } from '../store/url.ts';
import { ownTemplate } from './configuration.ts';
import { type GitOptions, gitHelp, gitOptions, readGitOptions } from './gitoptions.ts';
import { openRepository, type RepositoryListeners } from './repository.ts';
import { type OptionValues, optional, required } from './role.ts';

export const connectionOptions = {
  repository: { type: 'string' },
  template: { type: 'string' },
  'postgres-file': { type: 'string' },
  'redis-file': { type: 'string' },
  'link-token-file': { type: 'string' },
  ...gitOptions,
} as const;

export const connectionHelp = `  --repository FOLDER      the bare cluster repository; made from the template when it does not exist. With --git-url: this process's own copy
  --template FOLDER        what a new cluster repository is made from (default: cluster-repo-template)
  --postgres-file FILE     holds the database URL, postgres://user:password@host:port/database (or environment POSTGRESQL)
  --redis-file FILE        holds the Redis URL, redis://:password@host:port/0 (or environment REDIS_URL)
  --link-token-file FILE   holds the token that controller and Gepetto share
${gitHelp}`;

export interface Connections {
  store: Store;
  bus: RedisBus;
  repo: OpenClusterRepo;
  git: GitOptions;
  linkToken: string;
  close(): Promise<void>;
}

export async function secretIn(values: OptionValues, option: string, variable?: string): Promise<string> {
  const file = optional(values, option);
  if (file === undefined && variable !== undefined && process.env[variable]) return process.env[variable];
  if (file === undefined && variable !== undefined) {
    throw new MinerError('E-USAGE', `--${option} is missing, and environment variable ${variable} is not set`);
  }
  let text: string;
  try {
    text = (await readFile(required(values, option), 'utf8')).trim();
  } catch (error) {
    if (error instanceof MinerError) throw error;
    throw new MinerError('E-USAGE', `--${option}: ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (text === '') throw new MinerError('E-USAGE', `--${option}: ${file} is empty`);
  return text;
}

/**
 * Rejects with E-USAGE or E-CONFIG before anything is opened when an option is wrong, E-STORE while the database is away,
 * E-GIT-REPOSITORY while the git host is and there is no copy.
 */
export async function openConnections(
  values: OptionValues,
  role: string,
  listeners: RepositoryListeners,
  log: Logger,
): Promise<Connections> {
  const git = await readGitOptions(values);
  const linkToken = await secretIn(values, 'link-token-file');
  // It travels in a header, whose error messages would quote it.
  if (!/^[\x21-\x7e]+$/.test(linkToken)) {
    throw new MinerError('E-USAGE', '--link-token-file: allowed: one word of ASCII letters, digits and signs');
  }
  const redisUrl = await secretIn(values, 'redis-file', 'REDIS_URL');
  demandRedisUrl(redisUrl);
  const url = databaseUrl({ file: optional(values, 'postgres-file'), env: process.env });
  if (url === undefined) {
    throw new MinerError('E-USAGE', '--postgres-file is missing, and environment variable POSTGRESQL is not set');
  }
  const repo = await openRepository({
    dir: required(values, 'repository'),
    template: optional(values, 'template') ?? ownTemplate,
    git,
    log,
    ...listeners,
  });
  const store = await openStore({ url }).catch(async (error: unknown) => {
    await repo.close();
    throw error;
  });
  const bus = createRedisBus({ url: redisUrl, journal: store, consumer: `${role}-${hostname()}`, log });
  return {
    store,
    bus,
    repo,
    git,
    linkToken,
    async close() {
      await bus.close().catch((error: unknown) => log.warn(messageOf(error)));
      await repo.close();
      await store.close();
    },
  };
}
