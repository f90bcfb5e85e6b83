// How the API says no: a status and `{error, detail}`, where `error` is a code of docs/errors.md and `detail` one sentence, or for a
// request of the wrong form (422) a list of `{loc, msg, type}` as operators' tools know it (protocol.md 4.1).

import { type ErrorCode, MinerError } from '../domain/errors.ts';

export type ApiErrorCode =
  | ErrorCode
  | 'E-AUTH'
  | 'E-LIMIT'
  | 'E-NOT-FOUND'
  | 'E-REQUEST'
  | 'E-NOT-READY'
  | 'E-INTERNAL';

/** One thing that is wrong with a request: `loc` leads to it, `body` or `query` first. */
export interface FormProblem {
  loc: readonly (string | number)[];
  msg: string;
  type: string;
}

export interface Problem {
  status: number;
  error: ApiErrorCode;
  detail: string | readonly FormProblem[];
}

/** Thrown by handlers for what the caller got wrong. */
export class RequestError extends Error {
  readonly status: number;
  readonly code: ApiErrorCode;
  readonly form: readonly FormProblem[] | undefined;
  constructor(status: number, code: ApiErrorCode, detail: string | readonly FormProblem[]) {
    const form = typeof detail === 'string' ? undefined : detail;
    super(form ? form.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ') : String(detail));
    this.name = 'RequestError';
    this.status = status;
    this.code = code;
    this.form = form;
  }
}

export function notFound(what: string): RequestError {
  return new RequestError(404, 'E-NOT-FOUND', what);
}

/** Statuses of protocol.md 4.1.2; every other code is a failure of ours. */
const statuses: Partial<Record<ErrorCode, number>> = {
  'E-AGENT-UNREACHABLE': 502,
  'E-NAME-CONTEXT': 400,
  'E-NODE': 404,
  'E-ALREADY-ADDED': 409,
  'E-IN-USE': 409,
  'E-GIT-CONFLICT': 409,
  'E-GPU-REF': 400,
  'E-USAGE': 400,
};

function clientError(error: unknown): Problem | undefined {
  // Fastify's own refusals: too large a body, a malformed URL.
  const { statusCode } = error as { statusCode?: unknown };
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined;
  return { status: statusCode, error: 'E-REQUEST', detail: error instanceof Error ? error.message : 'bad request' };
}

/** What the caller is told about an error. Unexpected ones are only logged, their text may hold anything. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RequestError)
    return { status: error.status, error: error.code, detail: error.form ?? error.message };
  if (error instanceof MinerError)
    return { status: statuses[error.code] ?? 500, error: error.code, detail: error.message };
  return clientError(error) ?? { status: 500, error: 'E-INTERNAL', detail: 'internal error' };
}
