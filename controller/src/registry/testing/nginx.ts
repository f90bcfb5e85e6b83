// Debian's nginx with a configuration of ours, in a folder of its own.

import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningProcess, startProcess } from './processes.ts';

async function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** Resolves when it listens on `port`, which `config` must name. */
export async function startNginx(dir: string, config: string, port: number): Promise<RunningProcess<unknown>> {
  mkdirSync(dir, { recursive: true });
  writeFileSync(`${dir}/nginx.conf`, config);
  const args = ['-p', dir, '-e', 'stderr', '-c', `${dir}/nginx.conf`, '-g', 'daemon off;'];
  // nginx says nothing when it is up, so it is asked.
  const nginx = await startProcess(
    '/bin/sh',
    ['-c', 'echo starting; exec /usr/sbin/nginx "$@"', 'nginx', ...args],
    (line) => line,
  );
  for (let left = 600; !(await listens(port)); left--) {
    if (left === 0 || nginx.lines.some((line) => line.includes('[emerg]'))) {
      await nginx.stop();
      throw new Error(`nginx does not listen\n${nginx.lines.join('\n')}`);
    }
    await sleep(50);
  }
  return nginx;
}
