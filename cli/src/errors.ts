// What can go wrong at the command line: one sentence, a code of docs/errors.md, a hint, and the exit code that tells which kind it was.

import { type ErrorCode, MinerError, messageOf } from '@miner/controller/domain/errors.ts';

/** 1 to 9 as scripts see them; 0, 1 and 2 mean what they mean upstream. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  different: 3,
  notFound: 4,
  conflict: 5,
  unauthorised: 6,
  unreachable: 7,
  refused: 8,
  aborted: 9,
  interrupted: 130,
} as const;

export type Outcome = keyof typeof exitCodes;

/** Codes of our own, those of the miner API, and those a server sent that we do not know. */
export type CliErrorCode = ErrorCode | `E-${string}`;

export interface CliErrorOptions {
  outcome?: Outcome;
  hint?: string | undefined;
  /** HTTP status, where there was an answer. */
  status?: number;
  cause?: unknown;
}

export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly outcome: Outcome;
  readonly hint: string | undefined;
  readonly status: number | undefined;
  constructor(code: CliErrorCode, message: string, options: CliErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'CliError';
    this.code = code;
    this.outcome = options.outcome ?? 'failed';
    this.hint = options.hint;
    this.status = options.status;
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError('E-USAGE', message, { outcome: 'usage', hint });
}

export function notFoundError(message: string, hint?: string): CliError {
  return new CliError('E-NOT-FOUND', message, { outcome: 'notFound', hint });
}

const hints: Partial<Record<ErrorCode, string>> = {
  'E-HOTKEY': 'give the wallet file of the miner hotkey with --hotkey or HOTKEY',
};

/** Nothing was started: what was given is wrong. */
const wrongInput: ReadonlySet<string> = new Set<ErrorCode>(['E-USAGE', 'E-CONFIG', 'E-STRATEGY']);

/** Every failure as a CliError. What nobody expected keeps its cause for `--debug`. */
export function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof MinerError) {
    const outcome = wrongInput.has(error.code) ? 'usage' : 'failed';
    return new CliError(error.code, error.message, { outcome, hint: hints[error.code], cause: error });
  }
  return new CliError('E-INTERNAL', messageOf(error), { hint: 'run it again with --debug', cause: error });
}

/** Exit codes that upstream does not have, as upstream would have ended. An abort ends as the command says. */
export function compatExit(outcome: Outcome, onAbort: 0 | 1): number {
  if (outcome === 'refused') return 0;
  if (outcome === 'aborted') return onAbort;
  if (['notFound', 'conflict', 'unauthorised', 'unreachable'].includes(outcome)) return 1;
  return exitCodes[outcome];
}
