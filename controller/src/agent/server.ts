// The agent of a GPU server as the miner calls it (protocol.md 4.3): the kubeconfig of its cluster, and where to report. What hands out or
// changes anything accepts the miner's own hotkey only.

import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import { type ErrorCode, MinerError, messageOf } from '../domain/errors.ts';
import { bytesOf, requireSignatures } from '../signing/fastify.ts';
import { createVerifier } from '../signing/verify.ts';
import type { Kube } from './kube.ts';
import { readKubeconfig } from './kubeconfig.ts';
import type { Relay } from './relay.ts';
import { isControlPlaneUrl } from './urlfile.ts';

export interface AgentServerOptions {
  /** Address (ss58) of the miner's hotkey. */
  miner: string;
  cluster: string;
  kube: Kube;
  relay: Relay;
  clock: Pick<Clock, 'now'>;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

const bodyLimit = 16 * 1024;
const requestTimeoutMs = 30_000;
/** Signatures checked per caller and second; each costs about 1 ms. */
const checksPerSecond = 20;

const startRequest = z.object({
  control_plane_url: z.string().refine(isControlPlaneUrl, 'must be an http or https URL'),
});

function refusal(statusCode: number, code: string, message: string): Error {
  return Object.assign(new Error(message), { statusCode, code });
}

const statuses: Partial<Record<ErrorCode, number>> = { 'E-IN-USE': 409 };

function readStart(body: Buffer): string {
  try {
    return startRequest.parse(JSON.parse(body.toString('utf8'))).control_plane_url;
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : 'the body is not JSON';
    throw refusal(422, 'E-REQUEST', detail);
  }
}

function addErrors(app: FastifyInstance, log: AgentServerOptions['log']): void {
  app.setErrorHandler((error, request, reply) => {
    const fields = { method: request.method, route: request.routeOptions.url, reason: messageOf(error) };
    if (error instanceof MinerError) {
      log.warn(fields, 'request failed');
      return reply.code(statuses[error.code] ?? 500).send({ error: error.code, detail: error.message });
    }
    const { statusCode = 500, code } = error as { statusCode?: number; code?: string };
    if (statusCode < 400 || statusCode >= 500) {
      log.error(fields, 'request failed');
      return reply.code(500).send({ error: 'E-INTERNAL', detail: 'internal error' });
    }
    const known = code?.startsWith('E-') ? code : 'E-REQUEST';
    return reply.code(statusCode).send({ error: known, detail: messageOf(error) });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'E-NOT-FOUND', detail: 'Not Found' }));
}

function addRoutes(app: FastifyInstance, { cluster, kube, relay, log }: AgentServerOptions): void {
  app.get('/ping', async () => ({ message: 'pong' }));

  app.get('/config/kubeconfig', { config: { purpose: 'registration' } }, async (_request, reply) => {
    const answer = await readKubeconfig(kube);
    if (answer.status === 200) return { kubeconfig: answer.kubeconfig };
    log.warn({ status: answer.status }, answer.detail);
    const error = answer.status === 404 ? 'E-NOT-FOUND' : 'E-CLUSTER';
    return reply.code(answer.status).send({ error, detail: answer.detail });
  });

  app.post('/monitor/start', { config: { purpose: 'monitoring' } }, async (request) => ({
    message: await relay.start(readStart(bytesOf(request))),
    cluster,
  }));

  app.get('/monitor/stop', { config: { purpose: 'monitoring' } }, async () => ({ message: await relay.stop() }));

  app.get('/monitor/status', async () => relay.status());

  app.get('/monitor/health', async (_request, reply) => {
    const { state, error_message } = relay.status();
    if (state !== 'error') return { status: 'healthy', cluster };
    return reply.code(503).send({ status: 'error', cluster, detail: error_message });
  });
}

/** An instance that listens nowhere yet; `close` ends it. */
export async function createAgentServer(options: AgentServerOptions): Promise<FastifyInstance> {
  const { miner, clock, log } = options;
  const app = fastify({ bodyLimit, logger: false, forceCloseConnections: true, requestTimeout: requestTimeoutMs });
  addErrors(app, log);
  const verifier = createVerifier({ miner, allowedSigners: [miner], clock });
  requireSignatures(app, {
    verifier,
    bodyLimit,
    refusal(request, reason) {
      log.warn({ method: request.method, route: request.routeOptions.url, reason }, 'request refused');
      return refusal(401, 'E-AUTH', 'Unauthorized');
    },
  });
  // After the cheap checks and before the signature is looked at.
  await app.register(rateLimit, {
    max: checksPerSecond,
    timeWindow: 1000,
    allowList: (r) => !r.routeOptions.config.purpose,
  });
  addRoutes(app, options);
  return app;
}
