// The miner API (protocol.md 4.1): authentication before anything else, problems as `{error, detail}`, never a 500 for input.

import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { messageOf } from '../domain/errors.ts';
import { addAuthentication, bodyLimit } from './authentication.ts';
import type { ApiOptions } from './options.ts';
import { problemOf } from './problem.ts';
import { addRoutes } from './routes.ts';

/** For a request to arrive as a whole; the answer may take as long as it needs. */
const requestTimeoutMs = 30_000;

/** An instance that listens nowhere yet; `close` ends it. */
export function createApi(options: ApiOptions): FastifyInstance {
  const { log, problems = () => [], onAnswer } = options;
  const app = fastify({
    bodyLimit,
    logger: false,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    // What fails before a route is found.
    frameworkErrors(error, _request, reply) {
      const { status, ...body } = problemOf(error);
      (reply as FastifyReply).code(status).send(body);
    },
  });

  app.setErrorHandler((error, request, reply) => {
    const { status, ...body } = problemOf(error);
    const fields = { method: request.method, route: request.routeOptions.url, reason: messageOf(error) };
    if (status >= 500) log.error(fields, 'request failed');
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'E-NOT-FOUND', detail: 'Not Found' }));
  if (onAnswer) {
    app.addHook('onResponse', async ({ method, routeOptions }, { statusCode, elapsedTime }) => {
      onAnswer({ method, route: routeOptions.url ?? '', status: statusCode, ms: elapsedTime });
    });
  }

  addAuthentication(app, options);
  app.get('/ping', async () => ({ message: 'pong' }));
  app.get('/healthz', async (_request, reply) => {
    const found = problems();
    return reply
      .code(found.length === 0 ? 200 : 503)
      .send({ status: found.length === 0 ? 'ok' : 'failing', problems: found });
  });
  app.route({
    method: ['GET', 'POST'],
    url: '/servers',
    handler: async (request, reply) => reply.redirect(`/servers/${request.url.slice('/servers'.length)}`, 307),
  });
  addRoutes(app, options);
  return app;
}
