// What a failure of a backend means to whoever called: one status and one word for each, and never the inside of an unexpected error.

import { messageOf } from '@miner/controller/domain/errors.ts';
import { ZodError, z } from 'zod';

export interface Problem {
  status: number;
  /** Stable; the backend's own code where it has one. */
  code: string;
  detail: string;
}

const statuses: Readonly<Record<string, number>> = {
  BAD_INPUT: 422,
  BUSY: 429,
  NO_LIBRARY: 503,
  NO_DRIVER: 503,
  NO_DEVICE: 503,
  BAD_ABI: 503,
  VRAM_BUSY: 503,
  ABORTED: 503,
  TIMEOUT: 504,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  BAD_GATEWAY: 502,
  NOT_PROVEN: 500,
  SEED_MISMATCH: 500,
  DECRYPT_FAILED: 500,
};

/** An expected failure of a request. */
export function refusal(code: keyof typeof statuses & string, detail: string): Error {
  return Object.assign(new Error(detail), { code });
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ZodError)
    return { status: 422, code: 'BAD_INPUT', detail: z.prettifyError(error).split('\n').join('; ').slice(0, 1000) };
  if (error instanceof SyntaxError) return { status: 422, code: 'BAD_INPUT', detail: 'the body is not JSON' };
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? statuses[code] : undefined;
  if (known !== undefined) return { status: known, code: String(code), detail: messageOf(error).slice(0, 1000) };
  // Of fastify itself: a body that is too large, a rate limit.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return { status: statusCode, code: statusCode === 429 ? 'BUSY' : 'BAD_INPUT', detail: messageOf(error) };
  return { status: 500, code: 'INTERNAL', detail: 'internal error; the log of the pod has the reason' };
}
