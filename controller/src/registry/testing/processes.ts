// Real servers for tests: started, waited for by what they print, ended in any case.

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const readyMs = 60_000;
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

export interface RunningProcess<T> {
  /** What `ready` made of the line that told it. */
  value: T;
  /** Lines of stdout and stderr so far. */
  lines: string[];
  stop(): Promise<void>;
}

/** Resolves at the first line from which `ready` makes something; rejects with all lines when the process ends or is late. */
export async function startProcess<T>(
  command: string,
  args: readonly string[],
  ready: (line: string) => T | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningProcess<T>> {
  // A test that is killed cannot end it; the kernel can.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  running.add(child);
  const lines: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const fail = (why: string) => reject(new Error(`${command} ${why}\n${lines.join('\n')}`));
  const late = setTimeout(() => fail(`is not ready after ${readyMs / 1000} s`), readyMs);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line);
      const value = ready(line);
      if (value !== undefined) resolve(value);
    });
  }
  const ended = new Promise<void>((done) => {
    child.on('error', (error) => {
      fail(error.message);
      done();
    });
    child.on('close', (code) => {
      running.delete(child);
      fail(`ended with ${code}`);
      done();
    });
  });
  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    const stubborn = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(stubborn);
  }
  try {
    return { value: await promise, lines, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/** A port that is free now, for a server that cannot choose one by itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
