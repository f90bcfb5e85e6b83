// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// Member clusters for tests: the simulator's API server, and before it a proxy that records every request and can break any.

import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { kubeconfigFor } from '@miner/simulator/cluster/agent.ts';
import { startApiServer } from '@miner/simulator/cluster/apiserver.ts';
import { createMember, type Member } from '@miner/simulator/cluster/member.ts';
import { makeServers } from '@miner/simulator/cluster/servers.ts';
import { systemClock } from '../domain/clock.ts';
import { gpuEnvId } from '../domain/ids.ts';

export interface Seen {
  method: string;
  /** Below `/clusters/<name>`. */
  path: string;
  query: URLSearchParams;
  contentType: string;
  body: string;
}

export interface TestCluster {
  /** Names of the members. */
  names: string[];
  member(name: string): Member;
  kubeconfig(name: string, token?: string): string;
  /** Cut the watches of a member. */
  disconnect(name: string): void;
  requests: Seen[];
  /** Opened so far, all members together. */
  connections: number;
  /** Answers a request itself, or returns false to let it pass. */
  intercept: (seen: Seen, response: ServerResponse, request: IncomingMessage) => boolean;
  close(): Promise<void>;
}

async function readAll(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}

export const tokenOf = (name: string): string => `token-of-${name}`;

export async function startTestCluster(count = 1): Promise<TestCluster> {
  const servers = makeServers(count, 1);
  const members = new Map(
    servers.map((server) => {
      const context = { clock: systemClock, random: Math.random, onPortConflict: () => {} };
      return [server.name, createMember(server, context)];
    }),
  );
  const api = await startApiServer({ members, port: 0, tokenOf, logOf: () => '' });

  const proxy = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://proxy');
    const body = await readAll(request);
    const seen: Seen = {
      method: request.method ?? '',
      path: url.pathname.replace(/^\/clusters\/[^/]+/, ''),
      query: url.searchParams,
      contentType: request.headers['content-type'] ?? '',
      body,
    };
    cluster.requests.push(seen);
    if (cluster.intercept(seen, response, request)) return;
    const { method, headers } = request;
    const onward = forward({ port: api.port, host: '127.0.0.1', path: request.url, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(body);
  });
  proxy.on('connection', () => {
    cluster.connections += 1;
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;

  const cluster: TestCluster = {
    names: [...members.keys()],
    member(name) {
      const member = members.get(name);
      if (!member) throw new Error(`no member ${name}`);
      return member;
    },
    kubeconfig: (name, token = tokenOf(name)) =>
      kubeconfigFor(name, `http://127.0.0.1:${port}/clusters/${name}`, token),
    disconnect: (name) => api.disconnect(name),
    requests: [],
    connections: 0,
    intercept: () => false,
    async close() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
      await api.close();
    },
  };
  return cluster;
}

/** A chute pod as its Job would make it. */
export function chutePod(name: string, deploymentId: string, gpuIds: readonly string[], nodePort: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { 'chutes/chute': 'true', 'chutes/deployment-id': deploymentId, 'chutes/config-id': `config-of-${name}` },
    },
    spec: {
      containers: [
        {
          name: 'chute',
          image: 'registry.test/user/app:1',
          env: [
            { name: 'NVIDIA_VISIBLE_DEVICES', value: gpuIds.map(gpuEnvId).join(',') },
            { name: 'CHUTES_PORT_PRIMARY', value: String(nodePort) },
          ],
        },
      ],
    },
  };
}

/** Wait until `holds`, looking every 5 ms; fails after `limitMs` of real time. */
export async function until(what: string, holds: () => boolean, limitMs = 4_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await systemClock.sleep(5);
  }
}
