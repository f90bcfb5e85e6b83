// A real server for a test, under a shell that lives in a session of its own and reads a pipe from the test: when the test ends, however
// it ends, so does the server.

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, Socket } from 'node:net';

export interface Supervised {
  name: string;
  /** Shell text: starts the server, reads one word, ends the server, and removes its files unless the word is `keep`. */
  script: string;
  args: readonly string[];
  folder: string;
  account?: { uid: number; gid: number } | undefined;
  /** What the server has printed so far: is it up, or has it failed? */
  state(log: string): 'up' | 'failed' | 'starting';
}

const startTimeoutMs = 30_000;

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Resolves when the server is up. */
export function startSupervised({ name, script, args, folder, account, state }: Supervised): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', script, `${name}-for-tests`, ...args], {
    ...account,
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
  // A test that forgets to stop it still ends; the sockets of a child keep the process alive unless told otherwise.
  child.unref();
  for (const pipe of child.stdio) if (pipe instanceof Socket) pipe.unref();
  return new Promise((resolve, reject) => {
    let log = '';
    const timer = setTimeout(fail, startTimeoutMs);
    function fail(): void {
      clearTimeout(timer);
      reject(new Error(`${name} did not start:\n${log}`));
    }
    // Read to the end of its life, or the server would wait for room in the pipe.
    function read(chunk: Buffer): void {
      log = (log + chunk).slice(-4000);
      const now = state(log);
      if (now === 'failed') fail();
      if (now !== 'up') return;
      clearTimeout(timer);
      resolve(child);
    }
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject).once('exit', fail);
  });
}

/** Resolves when the server is gone. */
export function endSupervised(child: ChildProcess | undefined, word: 'keep' | 'remove'): Promise<void> {
  if (!child || child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.ref();
    child.once('exit', () => resolve());
    child.stdin?.end(`${word}\n`);
  });
}
