// One signed HTTP request to one validator. Answers come back whatever their status; only silence rejects, with E-VALIDATOR-UNREACHABLE.
// Redirects are not followed: a signature belongs to the host it was made for.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import type { ValidatorConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';
import { type SignedHeaders, validatorHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';
import { parseJson } from './json.ts';

export interface Timeouts {
  /** Wall-clock ms for a request with its whole answer. */
  requestMs: number;
  /** Wall-clock ms for an inventory stream from the first to the last byte. */
  feedMs: number;
}

export const defaultTimeouts: Timeouts = { requestMs: 30_000, feedMs: 120_000 };

export interface Call {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query below the validator's `api`. */
  path: string;
  /** Purpose word to sign; requests with neither purpose nor body go unsigned. */
  purpose?: string;
  /** Sent as JSON; its hash is what is signed. */
  body?: unknown;
  timeoutMs?: number;
  /** Attempts before a connection error is reported; more than one only for what may arrive twice. */
  attempts?: number;
}

export interface Answer {
  status: number;
  text: string;
}

export interface Requester {
  /** Send and read the whole answer. */
  send(call: Call): Promise<Answer>;
  /** Send and leave the body to the caller, who must read or cancel it. */
  open(call: Call): Promise<Response>;
}

export interface RequesterOptions {
  config: ValidatorConfig;
  signer: Signer;
  clock: Clock;
  random: Random;
  timeouts: Timeouts;
  log: Pick<Logger, 'warn'>;
  /** Ends what is under way, for shutting down. */
  signal?: AbortSignal | undefined;
}

const retryBaseMs = 500;
/** Of an error's text, the part worth showing. */
const detailLength = 300;

/** The innermost reason: fetch hides `ECONNREFUSED` in the cause of "fetch failed". */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  return inner instanceof AggregateError ? messageOf(inner.errors[0]) : messageOf(inner);
}

/** What the validator said about a refusal, on one line. */
export function detailOf({ status, text }: Answer): string {
  let detail: unknown = text;
  try {
    const body = parseJson(text) as { detail?: unknown } | null;
    detail = body?.detail ?? text;
  } catch {
    // Not JSON: a proxy's page, shown as it is.
  }
  const line = (typeof detail === 'string' ? detail : JSON.stringify(detail)).replace(/\s+/g, ' ').trim();
  return line === '' ? `status ${status}` : line.slice(0, detailLength);
}

/** E-VALIDATOR for an answer that is not the expected one. */
export function refusal(config: ValidatorConfig, call: Pick<Call, 'method' | 'path'>, answer: Answer): MinerError {
  const path = call.path.split('?')[0];
  const message = `validator ${config.api} answered ${answer.status} to ${call.method} ${path}: ${detailOf(answer)}`;
  return new MinerError('E-VALIDATOR', message, { detail: { status: answer.status, path, detail: detailOf(answer) } });
}

export function createRequester({ config, signer, clock, random, timeouts, log, signal }: RequesterOptions): Requester {
  const base = config.api.replace(/\/+$/, '');

  function headersOf(call: Call, body: string | undefined): SignedHeaders {
    if (body === undefined && call.purpose === undefined) return {};
    const signed = validatorHeaders(signer, { body, purpose: call.purpose });
    return body === undefined ? signed : { ...signed, 'Content-Type': 'application/json' };
  }

  function unreachable(call: Call, error: unknown): MinerError {
    const message = `validator ${config.api} is unreachable: ${reasonOf(error)}`;
    return new MinerError('E-VALIDATOR-UNREACHABLE', message, {
      detail: { path: call.path.split('?')[0] },
      cause: error,
    });
  }

  async function once<T>(call: Call, use: (response: Response) => Promise<T>): Promise<T> {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const limit = AbortSignal.timeout(call.timeoutMs ?? timeouts.requestMs);
    try {
      const response = await fetch(base + call.path, {
        method: call.method,
        headers: headersOf(call, body),
        redirect: 'manual',
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        ...(body === undefined ? {} : { body }),
      });
      return await use(response);
    } catch (error) {
      throw unreachable(call, error);
    }
  }

  async function withRetries<T>(call: Call, use: (response: Response) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(call, use);
      } catch (error) {
        if (attempt >= (call.attempts ?? 1) || signal?.aborted) throw error;
        log.warn({ attempt, path: call.path.split('?')[0], reason: messageOf(error) }, 'trying again');
        await clock.sleep(retryBaseMs * 2 ** (attempt - 1) * (0.5 + random()), signal);
      }
    }
  }

  return {
    send: (call) => withRetries(call, async (response) => ({ status: response.status, text: await response.text() })),
    open: (call) => withRetries(call, async (response) => response),
  };
}
