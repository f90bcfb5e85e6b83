// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// What an agent has around it, for tests: the part of a Kubernetes API that it reads, an older control plane that follows the rules of
// protocol.md 4.4, and a miner that calls it. Real HTTP on free ports, all closed by one call.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../../domain/clock.ts';
import { systemClock } from '../../domain/clock.ts';
import { managementHeaders } from '../../signing/sign.ts';
import { createSigner } from '../../signing/sr25519.ts';
import { createVerifier } from '../../signing/verify.ts';

const seeds = {
  alice: 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
  bob: '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
};
export const miner = createSigner(Buffer.from(seeds.alice, 'hex'));
export const stranger = createSigner(Buffer.from(seeds.bob, 'hex'));
export const cluster = 'gpu-0';
export const kubeconfig = 'apiVersion: v1\nkind: Config\nusers:\n- name: miner\n  user: {token: top-secret}\n';

export interface Http {
  url: string;
  close(): Promise<void>;
}

async function listen(server: Server, port = 0): Promise<Http> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface FakeKube extends Http {
  config: KubeConfig;
  /** Answers by path; what is not listed is a 404. Requests without the token are a 401. */
  replies: Record<string, [status: number, body: unknown]>;
}

export const token = 'service-account-token';

export async function startKube(): Promise<FakeKube> {
  const list = (name: string): unknown => ({ kind: 'List', items: [{ metadata: { name } }] });
  const replies: FakeKube['replies'] = {
    '/api/v1/namespaces/default/secrets/miner-kubeconfig': [
      200,
      { kind: 'Secret', data: { kubeconfig: Buffer.from(kubeconfig).toString('base64') } },
    ],
    '/apis/apps/v1/namespaces/chutes/deployments': [200, list('agent')],
    '/api/v1/namespaces/chutes/services': [200, list('agent')],
    '/api/v1/namespaces/chutes/pods': [200, list('chute-1')],
    '/api/v1/nodes': [200, list(cluster)],
    '/apis/batch/v1/namespaces/chutes/jobs': [200, list('chute-1')],
  };
  const http = await listen(
    createServer((request, response) => {
      const known = replies[request.url ?? ''] ?? [404, { kind: 'Status', reason: 'NotFound' }];
      const allowed = request.headers.authorization === `Bearer ${token}`;
      const [status, body] = allowed ? known : [401, { kind: 'Status', reason: 'Unauthorized' }];
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
    }),
  );
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: cluster, server: http.url, skipTLSVerify: true }, { name: 'agent', token });
  return { ...http, config, replies };
}

export interface FakeMonitor extends Http {
  /** Every signed change that it took, as `METHOD path`. */
  took: string[];
  /** What it knows of each cluster. */
  clusters: Map<string, { resources: Record<string, unknown[]>; heartbeat: string | undefined; healthy: boolean }>;
  /** Servers it may be told about. */
  inventory: Set<string>;
  /** Answers nothing but this status while set. */
  broken: number | undefined;
}

/** An older control plane: refuses what is not signed by the miner, and follows only servers of its inventory. */
export async function startMonitor(clock: Pick<Clock, 'now'> = systemClock, port = 0): Promise<FakeMonitor> {
  const { verify } = createVerifier({ miner: miner.address, allowedSigners: [miner.address], clock });
  const took: string[] = [];
  const clusters: FakeMonitor['clusters'] = new Map();
  const inventory = new Set([cluster]);
  const state = { broken: undefined as number | undefined };

  function answer(method: string, path: string, body: Buffer): number {
    const [, name = '', part] = /^\/api\/v1\/clusters\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const known = clusters.get(name);
    if (part === 'health') {
      if (!known) return 404;
      if (!known.healthy) return 409;
      known.heartbeat = JSON.parse(body.toString()).timestamp;
      return 200;
    }
    if (method === 'DELETE') return clusters.delete(name) ? 200 : 404;
    if (!inventory.has(name)) return 404;
    if (method === 'POST' && known) return 409;
    if (method === 'PUT' && !known) return 410;
    clusters.set(name, { resources: JSON.parse(body.toString()).resources, heartbeat: undefined, healthy: true });
    return 200;
  }

  const http = await listen(
    createServer(async (request, response) => {
      const { method = '', url = '', headers } = request;
      const body = await readBody(request);
      if (state.broken !== undefined) return response.writeHead(state.broken).end();
      if (method === 'GET' && url === '/api/v1/monitoring/clusters') return response.writeHead(200).end('[]');
      if (!url.startsWith('/api/v1/clusters/')) return response.writeHead(404).end();
      if (!verify({ method, headers, body, purpose: 'monitoring' }).accepted) return response.writeHead(401).end();
      const status = answer(method, url, body);
      took.push(`${method} ${url} ${status}`);
      response.writeHead(status).end('{}');
    }),
    port,
  );
  return Object.assign(state, { ...http, took, clusters, inventory });
}

/** Something that answers HTTP and is no control plane of the older kind. */
export function startOther(): Promise<Http> {
  return listen(createServer((_request, response) => response.writeHead(404).end('nothing here')));
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Call the agent as the miner does; `headers` replaces the signature. */
export async function call(
  url: string,
  method: string,
  path: string,
  {
    purpose,
    body,
    headers,
    signer = miner,
  }: {
    purpose?: string;
    body?: string;
    headers?: Record<string, string>;
    signer?: typeof miner;
  } = {},
): Promise<Answer> {
  const content = body ?? (method === 'POST' ? '' : undefined);
  const signed =
    headers ?? (purpose || content !== undefined ? managementHeaders(signer, { body: content, purpose }) : {});
  const response = await fetch(url + path, { method, headers: signed, ...(body === undefined ? {} : { body }) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
