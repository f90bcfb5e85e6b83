// Signed requests to the three kinds of servers the command line talks to. Signs each request anew; every refusal and every silence becomes
// a CliError with the server's own words and the exit code that tells which it was.

import type { SignedContent, SignedHeaders } from '@miner/controller/signing/sign.ts';
import { CliError, type CliErrorCode, type Outcome } from './errors.ts';
import { parseJson, withoutControls } from './json.ts';

export type RemoteKind = 'miner API' | 'validator' | 'agent';

export interface RemoteOptions {
  kind: RemoteKind;
  url: string;
  /** Absent for requests that nobody signs. */
  sign?: ((content: SignedContent) => SignedHeaders) | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface Call {
  /** Word that a request without a body signs; without purpose and body the request goes unsigned. */
  purpose?: string;
  body?: string;
  headers?: Readonly<Record<string, string>>;
  timeoutMs?: number;
}

export interface Remote {
  readonly kind: RemoteKind;
  readonly url: string;
  /** Resolves with a success only. */
  send(method: string, path: string, call?: Call): Promise<Response>;
  /** Large integers come as bigint. */
  json(method: string, path: string, call?: Call): Promise<unknown>;
}

const defaultTimeoutMs = 30_000;
/** Servers refuse nonces older than 30 s; from here on a refusal is better explained by the clock. */
const suspiciousSkewMs = 20_000;

const unreachableCodes: Record<RemoteKind, CliErrorCode> = {
  'miner API': 'E-API-UNREACHABLE',
  validator: 'E-VALIDATOR-UNREACHABLE',
  agent: 'E-AGENT-UNREACHABLE',
};

const unreachableHints: Record<RemoteKind, string> = {
  'miner API': 'check --miner-api (MINER_API) and that the miner runs; `chutes-miner doctor` looks at each part',
  validator: 'check --validator-api (VALIDATOR_API) and the network',
  agent: 'check --agent-api, the firewall and that the agent runs on the server',
};

const outcomes: Record<number, Outcome> = {
  401: 'unauthorised',
  403: 'unauthorised',
  404: 'notFound',
  409: 'conflict',
  429: 'unreachable',
  502: 'unreachable',
  503: 'unreachable',
  504: 'unreachable',
};

const hints: Record<number, string> = {
  401: 'the hotkey must be that of the miner, and this machine’s clock right to within 30 s',
  404: '`chutes-miner node list` shows what is known',
  429: 'wait a second and try again',
  503: 'it has just started or waits for something; try again',
};

/** How far the server's clock is ahead of ours, ms; undefined when it does not say. */
export function clockSkewMs(response: Response, now = Date.now()): number | undefined {
  const date = Date.parse(response.headers.get('date') ?? '');
  return Number.isNaN(date) ? undefined : date - now;
}

function words(text: string): { code: string | undefined; detail: string } {
  try {
    const parsed = parseJson(text);
    if (typeof parsed === 'object' && parsed !== null && 'detail' in parsed) {
      const code = 'error' in parsed && typeof parsed.error === 'string' ? parsed.error : undefined;
      const { detail } = parsed;
      return { code, detail: typeof detail === 'string' ? detail : JSON.stringify(detail) };
    }
  } catch {
    // Not JSON: say it as it came.
  }
  return { code: undefined, detail: withoutControls(text.trim().slice(0, 500)) };
}

function codeFor(kind: RemoteKind, status: number, given: string | undefined): CliErrorCode {
  if (given && /^E-[A-Z-]+$/.test(given)) return given as CliErrorCode;
  if (status === 401) return 'E-AUTH';
  if (status === 404) return 'E-NOT-FOUND';
  if (kind === 'validator') return 'E-VALIDATOR';
  if (status === 409) return 'E-ALREADY-ADDED';
  if (status === 502) return 'E-AGENT-UNREACHABLE';
  return status < 500 ? 'E-REQUEST' : 'E-INTERNAL';
}

async function refusal(kind: RemoteKind, request: string, response: Response): Promise<CliError> {
  const { status } = response;
  const { code, detail } = words(await response.text().catch(() => ''));
  const message = `the ${kind} answered ${status} to ${request}${detail ? `: ${detail}` : ''}`;
  const skew = clockSkewMs(response) ?? 0;
  if (status === 401 && Math.abs(skew) > suspiciousSkewMs) {
    const seconds = Math.round(Math.abs(skew) / 1000);
    return new CliError(
      'E-CLOCK-SKEW',
      `${message}; its clock is ${seconds} s ${skew > 0 ? 'ahead of' : 'behind'} ours`,
      {
        outcome: 'unauthorised',
        hint: 'set the clock of this machine (timedatectl set-ntp true) or of the server',
        status,
      },
    );
  }
  return new CliError(codeFor(kind, status, code), message, {
    outcome: outcomes[status] ?? 'failed',
    hint: hints[status],
    status,
  });
}

/** Why a connection failed, without the library's wrapping. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return cause instanceof Error ? cause.message : error.message;
}

export function unreachable(kind: RemoteKind, url: string, error: unknown, hint?: string): CliError {
  return new CliError(unreachableCodes[kind], `the ${kind} at ${url} cannot be reached (${reasonOf(error)})`, {
    outcome: 'unreachable',
    hint: hint ?? unreachableHints[kind],
    cause: error,
  });
}

export function createRemote({ kind, url, sign, timeoutMs = defaultTimeoutMs, signal }: RemoteOptions): Remote {
  const base = url.replace(/\/+$/, '');

  async function send(method: string, path: string, call: Call = {}): Promise<Response> {
    const { purpose, body, headers = {} } = call;
    const signed = purpose !== undefined || body !== undefined;
    const timeout = AbortSignal.timeout(call.timeoutMs ?? timeoutMs);
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        headers: {
          ...(signed && sign?.(body === undefined ? { purpose } : { body })),
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body }),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw unreachable(kind, base, error);
    }
    if (response.ok) return response;
    throw await refusal(kind, `${method} ${path.split('?')[0]}`, response);
  }

  async function json(method: string, path: string, call?: Call): Promise<unknown> {
    const response = await send(method, path, call);
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      throw unreachable(kind, base, error);
    }
    try {
      return parseJson(text);
    } catch (cause) {
      const message = `the ${kind} at ${base} gave an answer to ${method} ${path.split('?')[0]} that is no JSON`;
      throw new CliError('E-INTERNAL', message, { hint: `is ${base} the ${kind}?`, cause });
    }
  }

  return { kind, url: base, send, json };
}
