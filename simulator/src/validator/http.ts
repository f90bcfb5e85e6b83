// The HTTP face: each route says who must have signed what; a handler gets the verified caller and returns an answer or throws a
// Refusal. Errors are `{"detail": …}`. Bodies stay bytes until the signature over them is checked.

import { Readable } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { parseJson, toJson } from '../lossless.ts';
import { bodyHash, checkRequest, credentialsOf, httpNames } from './auth.ts';
import type { World } from './world.ts';

/** A refusal that the caller is told: status and detail. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

export interface Call {
  /** Verified hotkey; empty on open and token routes. */
  hotkey: string;
  params: Record<string, string>;
  query: Record<string, string | undefined>;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Answer {
  status?: number;
  /** Sent as JSON, bigints as bare integers. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Sent as a `data:` stream instead. `marker` follows when there is no item. */
  stream?: { items: Iterable<unknown>; marker?: string };
  /** Sent as a `data:` stream while it lasts, each text as it is. */
  events?: AsyncIterable<string>;
}

/** `none`: open; `token`: the handler checks a launch token itself; `hash`: signed over the body; else a purpose. */
export type Signed =
  | 'none'
  | 'token'
  | 'hash'
  | 'miner'
  | 'launch'
  | 'instances'
  | 'nodes'
  | 'graval'
  | 'tee'
  | 'registry';

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  signed: Signed;
  handle(call: Call): Answer | Promise<Answer>;
}

/** Parse a body after its signature was checked. 422 for what is no JSON or has another shape. */
export function bodyAs<T>(call: Call, shape: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = parseJson(call.body.toString('utf8'));
  } catch {
    throw new Refusal(422, 'the body is not JSON');
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Refusal(422, z.prettifyError(parsed.error));
}

function* sse({ items, marker }: { items: Iterable<unknown>; marker?: string }): Generator<string> {
  let count = 0;
  for (const item of items) {
    count++;
    yield `data: ${toJson(item)}\n\n`;
  }
  if (count === 0 && marker) yield `data: ${marker}\n\n`;
}

async function* eventLines(events: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const event of events) yield `data: ${event}\n\n`;
}

function authorize(world: World, route: Route, call: Call): string {
  if (route.signed === 'none' || route.signed === 'token') return '';
  const tail = route.signed === 'hash' ? bodyHash(call.body) : route.signed;
  const credentials = credentialsOf(call.headers, httpNames);
  const verdict = checkRequest(credentials, tail, { registered: world.registered, body: call.body });
  if (credentials && verdict.ok) return credentials.hotkey;
  if (verdict.wrongTail) {
    world.violation('wrong-purpose', `${route.method} ${route.path} signed for ${verdict.wrongTail.slice(0, 20)}`);
  } else {
    world.state.rejected++;
    world.changed();
  }
  throw new Refusal(401, 'not authenticated');
}

export function createHttp(world: World, routes: readonly Route[]): FastifyInstance {
  const app = Fastify({ forceCloseConnections: true, bodyLimit: 8 * 1024 * 1024 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }));
  app.setErrorHandler((error, request, reply) => {
    const status = error instanceof Refusal ? error.status : ((error as { statusCode?: number }).statusCode ?? 500);
    if (status >= 500) world.log('request failed', { path: request.url, error: String(error) });
    return reply.code(status).send({ detail: error instanceof Error ? error.message : 'error' });
  });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      async handler(request, reply) {
        const call: Call = {
          hotkey: '',
          params: request.params as Record<string, string>,
          query: request.query as Record<string, string | undefined>,
          headers: request.headers,
          body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        };
        call.hotkey = authorize(world, route, call);
        const answer = await route.handle(call);
        reply.code(answer.status ?? 200).headers(answer.headers ?? {});
        if (answer.stream) return reply.type('text/event-stream').send(Readable.from(sse(answer.stream)));
        if (answer.events) return reply.type('text/event-stream').send(Readable.from(eventLines(answer.events)));
        return reply.type('application/json').send(toJson(answer.body ?? null));
      },
    });
  }
  return app;
}
