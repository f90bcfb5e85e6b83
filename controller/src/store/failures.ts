// Turns what the drivers throw into MinerErrors. Driver errors carry the statement's parameters and whole rows, the seed among them,
// so only what is known to be harmless is kept: the code, the names, and the message where it quotes no value.

import { MinerError } from '../domain/errors.ts';
import { type CallLimit, within } from './deadline.ts';

/** The parts of a driver's error that may be shown. `detail` quotes the key of a violated constraint. */
export interface DriverFault {
  code: string;
  message: string;
  constraint: string | undefined;
  column: string | undefined;
  detail: string | undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The first error with a code among an error and its causes: an SQLSTATE or a socket's code. */
export function driverFault(error: unknown): DriverFault | undefined {
  for (let next = error; next instanceof Error; next = next.cause) {
    const fields = next as unknown as Record<string, unknown>;
    const code = textOf(fields.code);
    if (code === undefined) continue;
    return {
      code,
      // Class 22 (data exceptions) quotes the value that did not fit.
      message: code.startsWith('22') ? 'a value does not fit its column' : next.message || 'no connection',
      constraint: textOf(fields.constraint_name) ?? textOf(fields.constraint),
      column: textOf(fields.column_name) ?? textOf(fields.column),
      detail: textOf(fields.detail),
    };
  }
  return undefined;
}

/** E-STORE for whatever happened while `doing` (`the store could not <doing>`); MinerErrors pass through. */
export function storeError(doing: string, error: unknown): MinerError {
  if (error instanceof MinerError) return error;
  const fault = driverFault(error);
  if (!fault) {
    // drizzle's own message holds the parameters, its cause does not.
    const reason = innermost(error);
    return new MinerError('E-STORE', `the store could not ${doing}: ${reason}`, { cause: new Error(reason) });
  }
  const { code, message, constraint, column } = fault;
  return new MinerError('E-STORE', `the store could not ${doing}: ${message} (${code})`, {
    detail: { code, ...(constraint && { constraint }), ...(column && { column }) },
    cause: Object.assign(new Error(message), { code }),
  });
}

function innermost(error: unknown): string {
  let last = error;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  if (!(last instanceof Error)) return 'unknown failure';
  return last.message.startsWith('Failed query') ? 'the query failed' : last.message;
}

const attempts = 3;

/** The server broke a circle of waiting processes by undoing this statement: it may simply be said again. */
function isDeadlock(error: unknown): boolean {
  return driverFault(error)?.code === '40P01';
}

/** The same functions, rejecting with MinerErrors only and within the limit. One that lost a deadlock is repeated. */
export function withStoreErrors<T extends object>(functions: T, limit?: CallLimit): T {
  const wrapped = Object.entries(functions).map(([name, call]) => [
    name,
    async (...args: unknown[]) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await within(limit, () => call(...args));
        } catch (error) {
          if (attempt === attempts || !isDeadlock(error)) throw storeError(wordsOf(name), error);
        }
      }
    },
  ]);
  return Object.fromEntries(wrapped);
}

const verbs = ['save', 'add', 'update', 'delete', 'mark', 'set', 'link', 'prune', 'close'];

/** `saveChutes` → `save chutes`; `servers` → `read servers`. */
function wordsOf(name: string): string {
  if (name === 'ping') return 'be asked whether it answers';
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return verbs.some((verb) => words.startsWith(verb)) ? words : `read ${words}`;
}
