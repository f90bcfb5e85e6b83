// What every call to a validator has in common: which answers are refusals, how an answer is read, how often it is tried. Reads, deletions
// and settings are tried three times when the connection fails; what creates something or costs a token, once.

import type { Logger } from 'pino';
import { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import type { ValidatorConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { type Random, systemRandom } from '../domain/random.ts';
import type { Signer } from '../signing/sr25519.ts';
import { type Answer, type Call, createRequester, defaultTimeouts, refusal, type Timeouts } from './http.ts';
import { parseJson } from './json.ts';

export interface ValidatorClientOptions {
  config: ValidatorConfig;
  signer: Signer;
  clock: Clock;
  log: Pick<Logger, 'warn'>;
  timeouts?: Partial<Timeouts>;
  random?: Random;
}

/** For calls that do the same however often they arrive. */
export const idempotentAttempts = 3;

export function isMissing({ status }: Answer): boolean {
  return status === 404;
}

export function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

export interface Calls {
  config: ValidatorConfig;
  /** The answer whatever its status. Rejects with E-VALIDATOR-UNREACHABLE. */
  send(call: Call): Promise<Answer>;
  /** Send and require an answer that fits, a success by default. Rejects with E-VALIDATOR as well. */
  expect(call: Call, fits?: (answer: Answer) => boolean): Promise<Answer>;
  /** Delete; an object that is gone already counts as done. */
  remove(path: string, purpose: string): Promise<void>;
  /** Throws E-VALIDATOR when the answer does not fit the schema. */
  read<T>(call: Call, schema: z.ZodType<T>, answer: Answer): T;
  /** E-VALIDATOR for an answer that cannot be read. */
  unreadable(call: Call, error: unknown): MinerError;
}

export function createCalls(options: ValidatorClientOptions): Calls {
  const { config, signer, clock, log, random = systemRandom } = options;
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const { send } = createRequester({ config, signer, clock, random, timeouts, log });

  function unreadable(call: Call, error: unknown): MinerError {
    const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    const message = `validator ${config.api} gave an answer to ${call.method} ${call.path.split('?')[0]} that cannot be read`;
    return new MinerError('E-VALIDATOR', message, { detail: { problem: problem.slice(0, 500) } });
  }

  function read<T>(call: Call, schema: z.ZodType<T>, answer: Answer): T {
    try {
      return schema.parse(parseJson(answer.text));
    } catch (error) {
      throw unreadable(call, error);
    }
  }

  async function expect(call: Call, fits: (answer: Answer) => boolean = isSuccess): Promise<Answer> {
    const answer = await send(call);
    if (!fits(answer)) throw refusal(config, call, answer);
    return answer;
  }

  async function remove(path: string, purpose: string): Promise<void> {
    const call: Call = { method: 'DELETE', path, purpose, attempts: idempotentAttempts };
    await expect(call, (answer) => isSuccess(answer) || isMissing(answer));
  }

  return { config, send, expect, remove, read, unreadable };
}
