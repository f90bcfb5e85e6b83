// The GraVal bootstrap server (graval.md 4.1): devices for the miner, device answers and proofs for its validators. All requests but /ping
// are signed, and the signatures are checked; /ping answers while a proof runs.

import rateLimit from '@fastify/rate-limit';
import type { Clock } from '@miner/controller/domain/clock.ts';
import { messageOf } from '@miner/controller/domain/errors.ts';
import { bytesOf, requireSignatures } from '@miner/controller/signing/fastify.ts';
import { createVerifier, type Verdict } from '@miner/controller/signing/verify.ts';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { DeviceInfo, Prover } from '../backend.ts';
import { type OgvService, serveOgv } from './ogv.ts';
import { problemOf, refusal } from './problem.ts';
import type { Proofs } from './proofs.ts';
import type { BootstrapFigures } from './status.ts';
import { fetchToken } from './token.ts';
import { readProveRequest, readTokenRequest, toJson } from './wire.ts';

export interface BootstrapServerOptions {
  devices: readonly DeviceInfo[];
  /** What answers /info and /prove; undefined: the backend speaks ogv1 alone. */
  vendor: { prover: Prover; proofs: Proofs } | undefined;
  /** What answers /ogv/…; undefined: the backend does not speak ogv1. */
  ogv: OgvService | undefined;
  /** Own hotkey (ss58). */
  miner: string;
  /** Hotkeys that may challenge. */
  validators: readonly string[];
  /** Where tokens may be fetched; empty: nowhere. */
  tokenOrigins: ReadonlySet<string>;
  figures: BootstrapFigures;
  clock: Pick<Clock, 'now'>;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

const bodyLimit = 1024 * 1024;
/** Signatures checked per caller and second; a validator asks 20 device questions one after the other. */
const checksPerSecond = 50;

/** What is still not in a record that leaves the server: the work product of the last proof. */
function advertised(device: DeviceInfo): DeviceInfo {
  const { work_product: _, ...record } = device as DeviceInfo & { work_product?: unknown };
  return record;
}

/** Aborts when the caller hangs up before it has its answer. */
function callerOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

/** An instance that listens nowhere yet; `close` ends it, but not the backend. */
export async function createBootstrapServer(options: BootstrapServerOptions): Promise<FastifyInstance> {
  const { vendor, ogv, miner, validators, figures, clock, log } = options;
  const devices = options.devices.map(advertised);
  const app = fastify({ bodyLimit, logger: false, forceCloseConnections: true });

  function unauthorized(request: FastifyRequest, reason: string): Error {
    figures.refused();
    log.warn({ method: request.method, route: request.routeOptions.url, reason }, 'request refused');
    return refusal('UNAUTHORIZED', 'Unauthorized');
  }
  app.setErrorHandler((error, request, reply) => {
    const { status, code, detail } = problemOf(error);
    const fields = { method: request.method, route: request.routeOptions.url, code, reason: messageOf(error) };
    if (status !== 401) log[status >= 500 ? 'error' : 'warn'](fields, 'request failed');
    return reply.code(status).send({ error: code, detail });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'NOT_FOUND', detail: 'Not Found' }));

  function serveProofs(theirs: FastifyInstance, { prover, proofs }: { prover: Prover; proofs: Proofs }): void {
    const config = { purpose: 'graval' };
    theirs.get<{ Querystring: { challenge?: string } }>('/info', { config }, async (request, reply) => {
      const { challenge = '' } = request.query;
      if (!/^[0-9a-f]{64}$/.test(challenge)) throw refusal('BAD_INPUT', 'challenge: must be 64 hex digits');
      return reply.type('text/plain').send(await figures.timed('info', () => prover.infoChallenge(challenge)));
    });
    theirs.post('/prove', { config }, async (request, reply) => {
      const asked = readProveRequest(bytesOf(request).toString('utf8'));
      if (ogv?.busy()) throw refusal('BUSY', 'a commit of ogv1 is running');
      const caller = callerOf(reply);
      const answer = await figures.timed('prove', () => proofs.prove(asked, caller));
      return reply.type('application/json').send(toJson({ ...answer, devices }));
    });
  }

  // The miner is no validator and a validator not the miner, so each has a verifier of its own.
  const ofMiner = createVerifier({ miner, allowedSigners: [miner], clock });
  const ofValidators = createVerifier({ miner, allowedSigners: validators, clock });
  await app.register(rateLimit, {
    max: checksPerSecond,
    timeWindow: 1000,
    allowList: (request) => request.routeOptions.url === '/ping',
  });

  await app.register(async (own) => {
    requireSignatures(own, { verifier: ofMiner, bodyLimit, refusal: unauthorized });
    own.get('/devices', { config: { purpose: 'graval' } }, async () => ({ devices }));
  });

  await app.register(async (theirs) => {
    requireSignatures(theirs, { verifier: ofValidators, bodyLimit, refusal: unauthorized });
    if (vendor) serveProofs(theirs, vendor);
    if (ogv)
      serveOgv(theirs, ogv, {
        body: (request) => bytesOf(request).toString('utf8'),
        caller: callerOf,
        timed: figures.timed,
        free: () => !vendor || vendor.proofs.load() === 0,
      });
  });

  // The validator signs the body's hash here, the upstream server expects the purpose (graval.md 4.1): either will do.
  await app.register(async (open) => {
    open.removeAllContentTypeParsers();
    open.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body));
    function demand(verdict: Verdict, request: FastifyRequest): void {
      if (!verdict.accepted) throw unauthorized(request, verdict.reason);
    }
    open.addHook('onRequest', async (request) => demand(ofValidators.precheck(request.headers), request));
    open.post('/remote_token', async (request, reply) => {
      const signed = { headers: request.headers, body: bytesOf(request), purpose: 'graval' };
      const byHash = ofValidators.verify({ ...signed, method: 'POST' });
      if (!byHash.accepted) demand(ofValidators.verify({ ...signed, method: 'GET' }), request);
      const url = readTokenRequest(signed.body.toString('utf8'));
      return reply.type('text/plain').send(await fetchToken(url, options.tokenOrigins, callerOf(reply)));
    });
  });

  app.get('/ping', async (_request, reply) => reply.type('text/plain').send('pong'));
  return app;
}
