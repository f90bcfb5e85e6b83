// A validator made of a table of answers, for tests: real HTTP on a free port, and a record of what was asked.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ValidatorConfig } from '../../domain/config.ts';
import { createSigner } from '../../signing/sr25519.ts';

export const miner = createSigner(
  Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'),
);
export const validatorHotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

export interface Asked {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

/** An answer: status and body, or what to do with the response. `hang up` cuts the connection without one. */
export type Reply = [status: number, body: string] | 'hang up' | ((response: ServerResponse, asked: Asked) => void);

export interface HttpValidator {
  config: ValidatorConfig;
  asked: Asked[];
  /** Answers by `METHOD /path` (without query); a list is used up one by one, its last stays. Anything else is a 404. */
  replies: Record<string, Reply | Reply[]>;
  close(): Promise<void>;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export async function startHttpValidator(): Promise<HttpValidator> {
  const asked: Asked[] = [];
  const replies: HttpValidator['replies'] = {};

  function replyFor(method: string, url: string): Reply {
    const reply = replies[`${method} ${url.split('?')[0]}`] ?? [404, '{"detail":"Not Found"}'];
    if (!Array.isArray(reply) || typeof reply[0] === 'number') return reply as Reply;
    const list = reply as Reply[];
    return (list.length > 1 ? list.shift() : list[0]) ?? [404, ''];
  }

  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body: await readBody(request) };
    asked.push(one);
    const reply = replyFor(method, url);
    if (reply === 'hang up') request.socket.destroy();
    else if (typeof reply === 'function') reply(response, one);
    else response.writeHead(reply[0]).end(reply[1]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  return {
    config: { hotkey: validatorHotkey, registry: 'registry.test', api: base, socket: base },
    asked,
    replies,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The lines of an inventory stream. */
export function stream(items: readonly unknown[]): string {
  return items.map((item) => `data: ${typeof item === 'string' ? item : JSON.stringify(item)}\n\n`).join('');
}

/** Does not wait: sleeping is only remembered. */
export function fakeClock(ms = 1735689600_000) {
  const sleeps: number[] = [];
  return {
    ms,
    sleeps,
    now(): number {
      return this.ms;
    },
    async sleep(duration: number): Promise<void> {
      sleeps.push(duration);
      this.ms += duration;
    },
  };
}
