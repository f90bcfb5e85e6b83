// ogv1 over HTTP (graval.md 6.4, step 8): one challenge for each GPU is committed to at the same time, then each session is audited and
// gets its text. Progress is for whoever watches; what counts are the answers.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parse } from 'lossless-json';
import { z } from 'zod';
import { type DeviceInfo, GravalError, type OgvCommit, type OgvProver, type Progress } from '../backend.ts';
import { ogvChallenge, ogvQueries } from '../ogv/schemas.ts';
import { refusal } from './problem.ts';
import { readNumber } from './wire.ts';

export interface OgvServiceOptions {
  ogv: OgvProver;
  devices: readonly DeviceInfo[];
  /** Wall-clock ms for one commit of all GPUs, and for one audit. */
  limitMs: number;
}

/** Those that watch the progress at the same time; each holds a connection. */
const mostWatchers = 8;

const sessionId = z.string().min(1).max(64);
const auditRequest = z.object({ sessionId, queries: ogvQueries });
const releaseRequest = z.object({ sessionId, sealed: z.base64().max(64 * 1024), purpose: z.string().min(1).max(256) });

export interface OgvService {
  /** Commits run. */
  busy(): boolean;
  /** Commits of the challenges in the order sent; when one GPU fails none is kept. BAD_INPUT, BUSY, VRAM_BUSY, TIMEOUT, ABORTED. */
  commit(body: string, caller: AbortSignal): Promise<OgvCommit[]>;
  /** The opening as JSON. */
  audit(body: string, caller: AbortSignal): Promise<string>;
  release(body: string): Promise<{ plaintext: string }>;
  /** Server-sent events, one for each step of a GPU, beginning with the last known; until the caller hangs up. */
  watch(reply: FastifyReply): void;
}

export function createOgvService({ ogv, devices, limitMs }: OgvServiceOptions): OgvService {
  const challenges = z.array(ogvChallenge).min(1).max(devices.length);
  const watchers = new Set<(at: Progress) => void>();
  const latest = new Map<string, Progress>();
  let committing = false;

  function report(at: Progress): void {
    latest.set(at.uuid, at);
    for (const tell of watchers) tell(at);
  }

  return {
    busy: () => committing,
    async commit(body, caller) {
      const asked = challenges.parse(parse(body, undefined, readNumber));
      if (new Set(asked.map(({ device }) => device)).size !== asked.length)
        throw refusal('BAD_INPUT', 'a GPU is challenged once');
      if (committing) throw refusal('BUSY', 'a commit is running');
      committing = true;
      latest.clear();
      try {
        // One that fails ends the others: half a server proves nothing.
        const failed = new AbortController();
        const signal = AbortSignal.any([caller, failed.signal]);
        const run = { signal, deadlineMs: limitMs, onProgress: report };
        const causes: unknown[] = [];
        const settled = await Promise.allSettled(
          asked.map(async (challenge) => {
            try {
              return await ogv.commit(challenge, run);
            } catch (error) {
              causes.push(error);
              failed.abort();
              throw error;
            }
          }),
        );
        const done = settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
        if (causes.length === 0 && !caller.aborted) return done;
        await Promise.all(done.map(({ sessionId }) => ogv.discard(sessionId)));
        throw causes[0] ?? refusal('ABORTED', 'the caller is gone');
      } finally {
        committing = false;
      }
    },

    async audit(body, caller) {
      const asked = auditRequest.parse(JSON.parse(body));
      const opening = await ogv.audit(asked.sessionId, asked.queries, { signal: caller, deadlineMs: limitMs });
      return JSON.stringify(opening);
    },

    async release(body) {
      const { sessionId, sealed, purpose } = releaseRequest.parse(JSON.parse(body));
      try {
        return { plaintext: await ogv.release(sessionId, sealed, purpose) };
      } catch (error) {
        const ofCaller = error instanceof GravalError && ['NOT_PROVEN', 'DECRYPT_FAILED'].includes(error.code);
        throw ofCaller ? refusal('BAD_INPUT', error.message) : error;
      }
    },

    watch(reply) {
      if (watchers.size >= mostWatchers) throw refusal('BUSY', `${mostWatchers} watch already`);
      const { raw } = reply.hijack();
      raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).flushHeaders();
      const tell = (at: Progress) => {
        // Who reads slowly misses steps; they are no history.
        if (!raw.writableNeedDrain) raw.write(`data: ${JSON.stringify(at)}\n\n`);
      };
      for (const at of latest.values()) tell(at);
      watchers.add(tell);
      raw.on('close', () => watchers.delete(tell));
    },
  };
}

/** The service's routes; requests are signed by a validator like all others of the instance. */
export function serveOgv(
  app: FastifyInstance,
  service: OgvService,
  handle: {
    body(request: FastifyRequest): string;
    caller(reply: FastifyReply): AbortSignal;
    timed<T>(work: 'commit' | 'audit' | 'release', run: () => Promise<T>): Promise<T>;
    /** No other work holds the GPUs. */
    free(): boolean;
  },
): void {
  const config = { purpose: 'graval' };
  app.post('/ogv/commit', { config }, async (request, reply) => {
    if (!handle.free()) throw refusal('BUSY', 'a proof is running');
    const caller = handle.caller(reply);
    return handle.timed('commit', () => service.commit(handle.body(request), caller));
  });
  app.post('/ogv/audit', { config }, async (request, reply) => {
    const caller = handle.caller(reply);
    reply.type('application/json');
    return handle.timed('audit', () => service.audit(handle.body(request), caller));
  });
  app.post('/ogv/release', { config }, async (request) =>
    handle.timed('release', () => service.release(handle.body(request))),
  );
  app.get('/ogv/progress', { config }, (_request, reply) => service.watch(reply));
}
