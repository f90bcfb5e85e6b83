// The embedded git server as its pod runs it: serve.sh with Debian's nginx, fcgiwrap and git, in a folder of its own, not as root.

import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gitServerConfig, repositoryName } from '../git/nginx.ts';

const script = (name: string) => fileURLToPath(new URL(`../git/${name}`, import.meta.url));
const readyMs = 30_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Nginx that is started as root gives its work to another user, who may read nothing here. */
const isRoot = process.getuid?.() === 0;
export const runAs = isRoot ? { uid: 1000, gid: 1000 } : {};

export interface GitServer {
  /** Without user and token. */
  url: string;
  host: string;
  dir: string;
  /** What it has written. */
  log(): string;
  backup(keep: number): Promise<{ code: number; output: string; folder: string }>;
  stop(): Promise<void>;
}

function folder(path: string): string {
  mkdirSync(path, { recursive: true });
  if (isRoot) chownSync(path, 1000, 1000);
  return path;
}

/** Resolves when `/readyz` answers 200; rejects with the log after 30 s. */
export async function startGitServer(users: Record<string, string>): Promise<GitServer> {
  const dir = folder(mkdtempSync(join(tmpdir(), 'git-server-')));
  const [data, run, secret] = ['data', 'run', 'secret'].map((name) => folder(join(dir, name)));
  for (const [file, text] of Object.entries(users)) writeFileSync(join(dir, 'secret', file), text);
  const [listenPort, backendPort] = [await freePort(), await freePort()];
  const conf = join(dir, 'nginx.conf');
  const accessLog = join(dir, 'run', 'access.log');
  const props = { listenPort, backendPort, dataDir: join(dir, 'data'), runDir: join(dir, 'run'), accessLog };
  writeFileSync(conf, gitServerConfig(props));
  const env = {
    PATH: `${process.env.PATH}:/usr/sbin`,
    HOME: '/tmp',
    ...{ DATA: data, RUN: run, SECRET: secret, CONF: conf, BACKEND: String(backendPort) },
  };
  // A group of its own: fcgiwrap goes with the pod, not with nginx.
  const child = spawn('/bin/sh', [script('serve.sh')], { detached: true, env, ...runAs });
  let log = '';
  const collect = (chunk: Buffer) => {
    log += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = new Promise((resolve) => child.on('close', resolve));
  const killGroup = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  };
  process.on('exit', killGroup);
  const host = `http://127.0.0.1:${listenPort}`;
  async function stop(): Promise<void> {
    killGroup();
    await ended;
    process.off('exit', killGroup);
    rmSync(dir, { recursive: true, force: true });
  }
  const isUp = () =>
    fetch(`${host}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );
  for (const deadline = Date.now() + readyMs; !(await isUp()); await sleep(50)) {
    if (Date.now() < deadline && child.exitCode === null) continue;
    await stop();
    throw new Error(`the git server is not ready\n${log}`);
  }
  return {
    url: `${host}/${repositoryName}`,
    host,
    dir,
    log: () => log + readFileSync(accessLog, 'utf8'),
    stop,
    backup(keep) {
      const to = folder(join(dir, 'backup'));
      const variables = { PATH: env.PATH, HOME: '/tmp', DATA: data, BACKUP: to, KEEP: String(keep) };
      const copying = spawn('/bin/sh', [script('backup.sh')], { env: variables, ...runAs });
      let output = '';
      for (const stream of [copying.stdout, copying.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk;
        });
      return new Promise((resolve) => copying.on('close', (code) => resolve({ code: code ?? -1, output, folder: to })));
    },
  };
}
