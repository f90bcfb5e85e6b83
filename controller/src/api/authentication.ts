// Every route that declares a purpose accepts only requests signed by the miner (protocol.md 1.4). What fails is told nothing but 401.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { systemClock } from '../domain/clock.ts';
import { createVerifier, type Verdict } from '../signing/verify.ts';
import { type Budgets, sourceOf } from './limits.ts';
import type { ApiOptions } from './options.ts';
import { RequestError } from './problem.ts';
import { createRefusalLog } from './refusals.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Word that a request without a body signs. Routes without one are open. */
    purpose?: string;
  }
}

/** Largest body that is read, bytes. */
export const bodyLimit = 1024 * 1024;

/** The bytes as received; empty if there were none. */
export function rawBody(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

export function addAuthentication(app: FastifyInstance, options: ApiOptions, budgets: Budgets): void {
  const { signer, log, onRefused, clock = systemClock } = options;
  const { precheck, verify } = createVerifier({ miner: signer.address, allowedSigners: [signer.address], clock });
  const refusals = createRefusalLog({ clock, write: (fields) => log.warn(fields, 'request refused') });

  async function demand(verdict: Verdict, request: FastifyRequest): Promise<void> {
    if (verdict.accepted) return;
    await budgets.spendTrust(request);
    const { reason } = verdict;
    refusals.note(sourceOf(request), { method: request.method, route: request.routeOptions.url, reason });
    // As the label of a metric: without numbers, so that there are few.
    onRefused?.(reason.replaceAll(/-?\d+/g, 'N'));
    throw new RequestError(401, 'E-AUTH', 'Unauthorized');
  }

  // Bodies are hashed as they came: nothing may parse them first.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body));

  // Before the body is read, so that nobody but the miner can make us read one.
  app.addHook('onRequest', async (request, reply) => {
    const { purpose } = request.routeOptions.config;
    if (purpose === undefined) return;
    await budgets.demandTrust(request, reply);
    await demand(precheck(request.headers), request);
  });
  app.addHook('preValidation', async (request) => {
    const { purpose } = request.routeOptions.config;
    if (purpose === undefined) return;
    const { method, headers } = request;
    await demand(verify({ method, headers, body: rawBody(request), purpose }), request);
  });
}
