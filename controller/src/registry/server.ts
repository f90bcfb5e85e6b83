// `/registry/auth`, the question of nginx before every registry pull (protocol.md 5): 200 with the miner's signature, or 401. Whatever is
// wrong with a request, the answer is 401 and says no more.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../domain/clock.ts';
import type { Signer } from '../signing/sr25519.ts';
import { type Callers, isLocal } from './callers.ts';
import { hostLabel, ping, requestedRepository } from './names.ts';
import type { PlacedImages } from './placed.ts';
import { createStamps } from './stamp.ts';

export const results = ['granted', 'refused_caller', 'refused_host', 'refused_image', 'malformed'] as const;
export type Result = (typeof results)[number];

export interface RegistryAuthOptions {
  signer: Signer;
  /** Hotkeys (ss58) of the configured validators. */
  validators: Iterable<string>;
  placed: PlacedImages;
  clock: Clock;
  /** Whose requests are answered; default `loopback`. */
  callers?: Callers;
  /** Milliseconds that a pull of an unknown image waits for news of its pod: the kubelet may hear of it first. Default 2000. */
  patienceMs?: number;
}

export interface RegistryAuth {
  /** Not listening yet. */
  server: Server;
  /** Answers so far. */
  counts: Readonly<Record<Result, number>>;
}

const granted = '{"authenticated":true}';
const refused = '{"error":"unauthorized","detail":"unauthorized"}';
const jsonHeaders = (body: string) => ['Content-Type', 'application/json', 'Content-Length', String(body.length)];
const refusedHeaders = jsonHeaders(refused);
const unreadable = `HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${refused.length}\r\n\r\n${refused}`;

/** More pulls than this never wait: a flood of made-up names is answered at once. */
const mostWaiting = 128;
/** Longer than nginx keeps an idle connection (60 s), so that it is never cut under a request. */
const keepAliveMs = 75_000;

export function createRegistryAuth(options: RegistryAuthOptions): RegistryAuth {
  const { signer, placed, clock, callers = 'loopback', patienceMs = 2_000 } = options;
  const validators = new Set(Array.from(options.validators, (hotkey) => hotkey.toLowerCase()));
  const stamps = createStamps({ signer, clock });
  const counts: Record<Result, number> = {
    granted: 0,
    refused_caller: 0,
    refused_host: 0,
    refused_image: 0,
    malformed: 0,
  };
  const strangers = new WeakSet<Socket>();
  let waiting = 0;
  let stamp: readonly string[] = [];
  let grantedHeaders: string[] = [];

  async function becomesPlaced({ validator, repository }: { validator: string; repository: string }): Promise<boolean> {
    if (waiting >= mostWaiting) return false;
    waiting += 1;
    const over = new AbortController();
    const forget = placed.onChange(() => placed.allows(validator, repository) && over.abort());
    await clock.sleep(patienceMs, over.signal);
    forget();
    waiting -= 1;
    return over.signal.aborted;
  }

  /** The answer, or what must be placed for it. */
  function judge({
    method,
    url,
    headers,
    socket,
  }: IncomingMessage): Result | { validator: string; repository: string } {
    if (strangers.has(socket)) return 'refused_caller';
    if (url !== '/registry/auth' || (method !== 'GET' && method !== 'HEAD')) return 'malformed';
    const validator = hostLabel(headers.host ?? '');
    if (validator === undefined || !validators.has(validator)) return 'refused_host';
    const uri = headers['x-original-uri'];
    if (typeof uri !== 'string') return 'malformed';
    if (uri === ping) return 'granted';
    const repository = requestedRepository(uri);
    if (repository === undefined) return 'malformed';
    return placed.allows(validator, repository) ? 'granted' : { validator, repository };
  }

  function answer(response: ServerResponse, result: Result): void {
    if (response.destroyed) return;
    counts[result] += 1;
    if (result !== 'granted') {
      response.writeHead(401, refusedHeaders).end(refused);
      return;
    }
    const current = stamps.current();
    if (current !== stamp) {
      stamp = current;
      grantedHeaders = [...jsonHeaders(granted), ...current];
    }
    response.writeHead(200, grantedHeaders).end(granted);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const result = judge(request);
    if (typeof result === 'string') answer(response, result);
    else answer(response, (await becomesPlaced(result)) ? 'granted' : 'refused_image');
  }

  // A missing Host is refused like a wrong one.
  const server = createServer({ keepAliveTimeout: keepAliveMs, requireHostHeader: false }, handle);
  server.on('connection', (socket) => {
    if (!isLocal(socket.remoteAddress, callers)) strangers.add(socket);
  });
  server.on('checkExpectation', (_request, response) => answer(response, 'malformed'));
  server.on('clientError', (_error, socket) => {
    counts.malformed += 1;
    if (socket.writable) socket.end(unreadable);
    else socket.destroy();
  });
  return { server, counts };
}
