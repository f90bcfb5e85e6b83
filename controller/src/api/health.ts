// What machines ask: is the process alive, is the miner ready, what are its figures, what can it be asked. All without a signature.

import type { FastifyInstance } from 'fastify';
import { messageOf } from '../domain/errors.ts';
import type { DescribedRoute, RouteFacts } from './facts.ts';
import { sendJson } from './json.ts';
import type { ApiOptions, PartReadiness } from './options.ts';
import { alive, notReady, pong, ready } from './schemas.ts';

function route(facts: Omit<RouteFacts, 'tag'>) {
  return { config: { facts: { ...facts, tag: 'miner' } as const } };
}

const ping = route({ id: 'ping', summary: 'Answers when the API listens.', ok: pong });
const healthz = route({ id: 'healthz', summary: 'Answers while the process is alive.', ok: alive });
const readyz = route({
  id: 'readyz',
  summary: 'Tells whether every part of the miner works.',
  ok: ready,
  others: { 503: { description: 'At least one part does not work.', schema: notReady } },
});
const figures = route({
  id: 'metrics',
  summary: 'Figures for Prometheus.',
  ok: { type: 'text/plain', description: 'Prometheus text format.' },
});
const document = route({
  id: 'openapi',
  summary: 'This document.',
  ok: { type: 'application/json', description: 'OpenAPI 3.1.' },
});

/** A look that fails is a part that does not work. */
async function look({ readiness, log }: ApiOptions): Promise<readonly PartReadiness[]> {
  try {
    return (await readiness?.()) ?? [];
  } catch (error) {
    log.error({ reason: messageOf(error) }, 'readiness cannot be told');
    return [{ part: 'readiness', ok: false }];
  }
}

/** `routes`: all routes of the API, complete when the first request comes. */
export function addHealthRoutes(app: FastifyInstance, options: ApiOptions, routes: readonly DescribedRoute[]): void {
  const { metrics } = options;
  let openApi: Promise<object> | undefined;

  app.get('/ping', ping, async (_request, reply) => sendJson(reply, { message: 'pong' }));
  app.get('/healthz', healthz, async (_request, reply) => sendJson(reply, { status: 'ok' }));

  app.get('/readyz', readyz, async (_request, reply) => {
    const parts = (await look(options)).map(({ part, ok, since, detail }) => ({ part, ok, since, detail }));
    const failing = parts.filter(({ ok }) => !ok).map(({ part }) => part);
    if (failing.length === 0) return sendJson(reply, { status: 'ready', parts });
    return sendJson(reply.code(503), { error: 'E-NOT-READY', detail: `waits for: ${failing.join(', ')}`, parts });
  });

  if (metrics) {
    app.get('/metrics', figures, async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.expose()),
    );
  }

  app.get('/openapi.json', document, async (_request, reply) => {
    openApi ??= import('./openapi.ts').then(({ openApiDocument }) => openApiDocument(routes));
    return sendJson(reply, await openApi);
  });
}
