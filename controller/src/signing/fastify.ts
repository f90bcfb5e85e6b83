// Makes a fastify service accept only signed requests on the routes that declare a purpose in `config`. It refuses before a body is read
// whatever can be refused without it, and hashes bodies as they came: nothing parses them first.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Verdict, Verifier } from './verify.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Word that a request without a body signs. Routes without one are open. */
    purpose?: string;
  }
}

export interface SignatureOptions {
  verifier: Verifier;
  /** Largest body that is read, bytes. */
  bodyLimit: number;
  /** The error to answer with; `reason` is for the log, the caller learns nothing but 401 (protocol.md 1.4). */
  refusal(request: FastifyRequest, reason: string): Error;
}

/** The bytes as received; empty if there were none. */
export function bytesOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

/** Add it before the routes. Handlers find the body as bytes, see `bytesOf`. */
export function requireSignatures(app: FastifyInstance, { verifier, bodyLimit, refusal }: SignatureOptions): void {
  function demand(verdict: Verdict, request: FastifyRequest): void {
    if (!verdict.accepted) throw refusal(request, verdict.reason);
  }

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.purpose !== undefined) demand(verifier.precheck(request.headers), request);
  });
  app.addHook('preValidation', async (request) => {
    const { purpose } = request.routeOptions.config;
    if (purpose === undefined) return;
    const { method, headers } = request;
    demand(verifier.verify({ method, headers, body: bytesOf(request), purpose }), request);
  });
}
