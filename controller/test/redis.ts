// A real Redis for tests, on a free port of 127.0.0.1 with its files in a temporary folder. Its supervisor lives in a session of its
// own and reads a pipe from the test: when the test ends, however it ends, so does the server.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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
const startTimeoutMs = 30_000;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

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

/** Resolves when the server takes connections. */
function run(folder: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', supervisor, 'redis-for-tests', program, folder], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
  // A test that forgets to stop it still ends.
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) if (pipe instanceof Socket) pipe.unref();
  return new Promise((resolve, reject) => {
    let log = '';
    const timer = setTimeout(fail, startTimeoutMs);
    function fail(): void {
      clearTimeout(timer);
      reject(new Error(`Redis did not start:\n${log}`));
    }
    // Read to the end of its life, or the server would wait for room in the pipe.
    child.stdout?.on('data', (chunk: Buffer) => {
      log = (log + chunk).slice(-4000);
      if (!log.includes('Ready to accept connections')) return;
      clearTimeout(timer);
      resolve(child);
    });
    child.once('error', reject).once('exit', fail);
  });
}

function end(child: ChildProcess | undefined, word: 'keep' | 'remove'): Promise<void> {
  if (!child || child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.ref();
    child.once('exit', () => resolve());
    child.stdin?.end(`${word}\n`);
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
      await end(child, 'keep');
      child = undefined;
    },
    async start(data) {
      if (child) throw new Error('it runs already');
      if (data === 'empty') rmSync(join(folder, 'appendonlydir'), { recursive: true, force: true });
      child = await run(folder);
    },
    async stop() {
      await end(child, 'remove');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
