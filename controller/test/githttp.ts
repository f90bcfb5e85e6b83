// A real git host for tests: `git http-backend` behind HTTP with basic authentication, bare repositories in a temporary folder, and
// switches that make it fail the ways a host fails. Only processes it started are ended.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How requests are answered from now on. */
export type GitHttpFault =
  | { kind: 'none' }
  /** Every request gets this status. */
  | { kind: 'status'; status: number }
  /** A push is carried out, and the connection is cut instead of the answer. */
  | { kind: 'lose-answer' }
  /** The connection is cut in the middle of a request to push; nothing is carried out. */
  | { kind: 'cut' }
  /** The push is held back this long, ms, and carried out then, even when nobody waits any more. With `above` only one of more bytes. */
  | { kind: 'slow'; ms: number; above?: number }
  /** A push answers before it is carried out as if the host had broken off. */
  | { kind: 'late'; ms: number };

export interface TestGitHost {
  /** Without credentials. */
  url: string;
  /** `user:token`. */
  credential: string;
  /** The bare repository on disk. */
  gitdir: string;
  fault: GitHttpFault;
  /** Requests so far, by service. */
  readonly counts: { all: number; pushes: number };
  /** Stop listening and cut all connections; `start` comes back at the same port. */
  down(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

export interface TestGitHostOptions {
  user?: string;
  token?: string;
  /** Lines of `git config` for the repository, e.g. `receive.denyNonFastForwards=true`. */
  config?: readonly string[];
}

const backend = '/usr/lib/git-core/git-http-backend';
const repository = 'cluster.git';

function plainGit(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

function backendPath(): string {
  if (existsSync(backend)) return backend;
  return join(plainGit('--exec-path'), 'git-http-backend');
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function environmentOf(root: string, user: string, request: IncomingMessage, length: number): NodeJS.ProcessEnv {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const { headers } = request;
  return {
    PATH: process.env.PATH,
    HOME: root,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    REMOTE_USER: user,
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: url.pathname,
    QUERY_STRING: url.search.slice(1),
    CONTENT_TYPE: headers['content-type'] ?? '',
    CONTENT_LENGTH: String(length),
    HTTP_CONTENT_ENCODING: String(headers['content-encoding'] ?? ''),
    GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
  };
}

/** Status, headers and body out of what a CGI program wrote. */
function parseAnswer(output: Buffer): { status: number; headers: [string, string][]; body: Buffer } {
  const end = output.indexOf('\r\n\r\n');
  const lines = output.toString('latin1', 0, Math.max(end, 0)).split('\r\n');
  const pairs = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as [string, string];
  });
  const status = Number.parseInt(pairs.find(([name]) => name === 'Status')?.[1] ?? '200', 10);
  return {
    status,
    headers: pairs.filter(([name]) => name !== 'Status' && name !== ''),
    body: output.subarray(end + 4),
  };
}

/** An empty repository, listening. The caller stops it. */
export async function startGitHost(options: TestGitHostOptions = {}): Promise<TestGitHost> {
  const { user = 'miner', token = 'hunter2-token-of-the-test', config = [] } = options;
  const root = mkdtempSync(join(tmpdir(), 'miner-githost-'));
  const gitdir = join(root, repository);
  plainGit('init', '--quiet', '--bare', '--initial-branch=main', gitdir);
  for (const line of ['http.receivepack=true', 'gc.auto=0', 'receive.autogc=false', ...config]) {
    const [key = '', value = ''] = line.split('=');
    plainGit('-C', gitdir, 'config', key, value);
  }
  const program = backendPath();
  const children = new Set<ChildProcess>();
  const counts = { all: 0, pushes: 0 };
  const expected = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;

  function runBackend(request: IncomingMessage, body: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const env = environmentOf(root, user, request, body.length);
      const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'ignore'] });
      children.add(child);
      const chunks: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.stdin.on('error', () => undefined);
      child.once('error', reject);
      child.once('close', () => {
        children.delete(child);
        resolve(Buffer.concat(chunks));
      });
      child.stdin.end(body);
    });
  }

  const host = {
    url: '',
    credential: `${user}:${token}`,
    gitdir,
    fault: { kind: 'none' } as GitHttpFault,
    counts,
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { fault } = host;
    const isPush = request.method === 'POST' && (request.url ?? '').endsWith('/git-receive-pack');
    counts.all += 1;
    if (fault.kind === 'status') return void response.writeHead(fault.status).end();
    if (request.headers.authorization !== expected) {
      return void response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
    }
    if (isPush) counts.pushes += 1;
    if (isPush && fault.kind === 'cut') return void request.socket.destroy();
    const body = await bodyOf(request);
    if (isPush && fault.kind === 'slow' && body.length > (fault.above ?? 0))
      await sleep(fault.ms, undefined, { ref: false });
    if (isPush && fault.kind === 'late') {
      request.socket.destroy();
      await sleep(fault.ms, undefined, { ref: false });
    }
    const { status, headers, body: content } = parseAnswer(await runBackend(request, body));
    if (isPush && fault.kind === 'lose-answer') return void request.socket.destroy();
    response.writeHead(status, headers).end(content);
  }

  let server: Server | undefined;
  let port = 0;
  async function start(): Promise<void> {
    const fresh = createServer((request, response) => {
      answer(request, response).catch(() => request.socket.destroy());
    });
    await new Promise<void>((resolve, reject) => fresh.once('error', reject).listen(port, '127.0.0.1', resolve));
    server = fresh;
    port = (fresh.address() as AddressInfo).port;
  }
  async function down(): Promise<void> {
    const old = server;
    server = undefined;
    if (!old) return;
    const closed = new Promise((resolve) => old.close(resolve));
    old.closeAllConnections();
    await closed;
  }
  await start();
  return Object.assign(host, {
    url: `http://127.0.0.1:${port}/${repository}`,
    start,
    down,
    async stop() {
      await down();
      const ended = [...children].map((child) => new Promise((resolve) => child.once('close', resolve)));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ended);
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  });
}
