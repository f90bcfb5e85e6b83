// A server of upstream's shape: miner API, validator and agent on one port. Records each request with the text its signature holds for,
// checked independently of the code that signed it.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifySignature } from '@miner/simulator/sr25519.ts';

/** Dev keys of protocol.md 1.6. */
export const miner = {
  address: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  seed: 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
};

export interface Recorded {
  /** `GET /servers/` with its query. */
  request: string;
  /** X-Chutes headers and Authorization, in lower case, sorted. */
  headers: string[];
  /** Last part of the signed text that fits: a purpose or `body`; `none` without headers, `BAD` when nothing fits. */
  signed: string;
  /** Parts of the signed text. */
  parts: number;
  nonce: string;
  body: string;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface Upstream {
  url: string;
  requests: Recorded[];
  /** `METHOD /path` without query; others answer 404. */
  on(route: string, answer: Handler | object, status?: number): void;
  close(): Promise<void>;
}

const purposes = ['management', 'kubeconfig', 'registration', 'miner', 'tee', 'nodes', 'graval'];

function record(request: IncomingMessage, body: string): Recorded {
  const headers = request.headers;
  const names = Object.keys(headers).filter((name) => name.startsWith('x-chutes-') || name === 'authorization');
  const one = (name: string) => String(headers[name] ?? '');
  const nonce = one('x-chutes-nonce');
  const isRemote = headers['x-chutes-hotkey'] !== undefined;
  const signer = isRemote ? one('x-chutes-hotkey') : one('x-chutes-validator');
  const start = isRemote ? [signer, nonce] : [one('x-chutes-miner'), signer, nonce];
  const hash = createHash('sha256').update(body).digest('hex');
  const fits = (tail: string) =>
    verifySignature(signer, new TextEncoder().encode([...start, tail].join(':')), one('x-chutes-signature'));
  let signed = 'none';
  if (names.some((name) => name.startsWith('x-chutes-'))) {
    signed = fits(hash) ? 'body' : (purposes.find(fits) ?? 'BAD');
  }
  return {
    request: `${request.method} ${request.url}`,
    headers: names.sort(),
    signed,
    parts: start.length + 1,
    nonce,
    body,
  };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

export async function startUpstream(): Promise<Upstream> {
  const requests: Recorded[] = [];
  const handlers = new Map<string, Handler>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      requests.push(record(request, body));
      const path = (request.url ?? '').split('?')[0];
      const handler = handlers.get(`${request.method} ${path}`);
      if (handler) handler(request, response, body);
      else sendJson(response, 404, { detail: 'Not Found' });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    on(route, answer, status = 200) {
      handlers.set(
        route,
        typeof answer === 'function' ? (answer as Handler) : (_request, response) => sendJson(response, status, answer),
      );
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An add-node stream of these messages; then it ends, or is cut off. */
export function stream(messages: readonly string[], isCut = false): Handler {
  return (_request, response) => {
    response.writeHead(200);
    for (const message of messages) {
      response.write(`data: ${JSON.stringify({ timestamp: '2026-01-31T12:00:00.000000', message })}\n\n`);
    }
    if (isCut) setTimeout(() => response.socket?.destroy(), 20);
    else response.end();
  };
}
