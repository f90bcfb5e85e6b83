// A real Redis for tests, on a free port of 127.0.0.1 with its files in a temporary folder.

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endSupervised, freePort, startSupervised } from './supervised.ts';

export interface TestRedis {
  url: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** At the same port, with the data that were on disk or without any; resolves when it answers. */
  start(data: 'empty' | 'kept'): Promise<void>;
  /** Ends it and removes its files. May be called again. */
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  password?: string;
  /** Every write goes to disk, so that a killed server has it all again. */
  durable?: boolean;
}

const program = 'redis-server';

/** Kills the server when its input ends; the last one out removes the folder unless told to keep it. */
const supervisor = `
"$1" "$2/redis.conf" </dev/null &
server=$!
read -r word
kill -KILL $server
wait $server 2>/dev/null
[ "$word" = keep ] || rm -rf "$2"
`;

function configuration(folder: string, port: number, { password, durable }: TestRedisOptions): string {
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    'save ""',
    'daemonize no',
    durable ? 'appendonly yes\nappendfsync always' : 'appendonly no',
    password ? `requirepass ${password}` : '',
  ];
  return `${lines.join('\n')}\n`;
}

function run(folder: string): Promise<ChildProcess> {
  return startSupervised({
    name: 'redis',
    script: supervisor,
    args: [program, folder],
    folder,
    state: (log) => (log.includes('Ready to accept connections') ? 'up' : 'starting'),
  });
}

/** An empty server, well under a second. The caller stops it; a test that dies leaves nothing running. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'miner-redis-'));
  const port = await freePort();
  writeFileSync(join(folder, 'redis.conf'), configuration(folder, port, options), { mode: 0o600 });
  let child: ChildProcess | undefined = await run(folder);
  return {
    url: `redis://127.0.0.1:${port}`,
    async kill() {
      await endSupervised(child, 'keep');
      child = undefined;
    },
    async start(data) {
      if (child) throw new Error('it runs already');
      if (data === 'empty') rmSync(join(folder, 'appendonlydir'), { recursive: true, force: true });
      child = await run(folder);
    },
    async stop() {
      await endSupervised(child, 'remove');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
