// The miner API (protocol.md 4.1): limits first, then authentication, then everything else; problems as `{error, detail}`, never a 500
// for input.

import type { Socket } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { messageOf } from '../domain/errors.ts';
import { addAuthentication, bodyLimit } from './authentication.ts';
import { addDeploymentRoutes } from './deployments.ts';
import type { DescribedRoute, RouteFacts } from './facts.ts';
import { addHealthRoutes } from './health.ts';
import { sendJson } from './json.ts';
import { addLimits } from './limits.ts';
import type { ApiOptions } from './options.ts';
import { problemOf, RequestError } from './problem.ts';
import { addServerRoutes } from './servers.ts';

/** For a request to arrive as a whole; the answer may take as long as it needs. */
const requestTimeoutMs = 30_000;

/** What never became a request: broken HTTP, headers that are too large or too late. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const status = {
    HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
    ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  };
  const line = status[error.code as keyof typeof status] ?? '400 Bad Request';
  const body = JSON.stringify({ error: 'E-REQUEST', detail: line.slice(4) });
  const head = `HTTP/1.1 ${line}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
  if (socket.writable) socket.end(`${head}\r\n\r\n${body}`);
  else socket.destroy();
}

function addProblems(app: FastifyInstance, { log }: ApiOptions): void {
  app.setErrorHandler((error, request, reply) => {
    const { status, ...body } = problemOf(error);
    const fields = { method: request.method, route: request.routeOptions.url, reason: messageOf(error) };
    if (status >= 500) log.error(fields, 'request failed');
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'E-NOT-FOUND', detail: 'Not Found' }));
}

const statusFacts: RouteFacts = {
  id: 'status',
  tag: 'miner',
  summary: 'What the miner would tell about itself now.',
  ok: { type: 'application/json', description: 'One document for people and their tools; its fields may grow.' },
  others: { 503: 'The first plan is not made yet.' },
};

function addRoutes(app: FastifyInstance, options: ApiOptions): void {
  const described: DescribedRoute[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    const { facts, purpose } = config ?? {};
    if (facts) described.push({ method: String(method), url, signed: purpose !== undefined, facts });
  });
  addHealthRoutes(app, options, described);
  addServerRoutes(app, options);
  addDeploymentRoutes(app, options);
  app.get('/status', { config: { purpose: 'management', facts: statusFacts } }, async (_request, reply) => {
    const status = await options.status();
    if (!status) throw new RequestError(503, 'E-NOT-READY', 'the first plan is not made yet');
    return sendJson(reply, status);
  });
  for (const list of ['/servers', '/deployments']) {
    const handler = async (request: FastifyRequest, reply: FastifyReply) =>
      reply.redirect(`${list}/${request.url.slice(list.length)}`, 307);
    app.route({ method: ['GET', 'POST'], url: list, handler });
  }
}

/** An instance that listens nowhere yet; `close` ends it. */
export function createApi(options: ApiOptions): FastifyInstance {
  const { onAnswer } = options;
  const app = fastify({
    bodyLimit,
    logger: false,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    // A HEAD of a route that changes something would change it as well.
    exposeHeadRoutes: false,
    clientErrorHandler: refuseConnection,
    // What fails before a route is found.
    frameworkErrors(error, _request, reply) {
      const { status, ...body } = problemOf(error);
      (reply as FastifyReply).code(status).send(body);
    },
  });
  addProblems(app, options);
  if (onAnswer) {
    app.addHook('onResponse', async ({ method, routeOptions }, { statusCode, elapsedTime }) => {
      onAnswer({ method, route: routeOptions.url ?? '', status: statusCode, ms: elapsedTime });
    });
  }
  app.register(rateLimit, { global: false });
  app.after(() => {
    addAuthentication(app, options, addLimits(app, options));
    addRoutes(app, options);
  });
  return app;
}
