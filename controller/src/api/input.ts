// Reads what callers send through a zod schema. What does not fit is 422 with the place of each problem.

import type { z } from 'zod';
import { type FormProblem, RequestError } from './problem.ts';

type Source = 'body' | 'query' | 'path';

/** Kinds of problems by the names that operators' tools know. */
function typeOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'missing';
    return `${issue.expected === 'number' ? 'float' : issue.expected === 'object' ? 'dict' : issue.expected}_type`;
  }
  return issue.code === 'unrecognized_keys' ? 'extra_forbidden' : 'value_error';
}

function problemOf(issue: z.core.$ZodIssue, source: Source): FormProblem {
  const type = typeOf(issue);
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  return { loc: [source, ...path], msg: type === 'missing' ? 'Field required' : issue.message, type };
}

/** Throws 422. */
export function readInput<T extends z.ZodType>(schema: T, value: unknown, source: Source): z.output<T> {
  const read = schema.safeParse(value, { reportInput: true });
  if (read.success) return read.data;
  throw new RequestError(
    422,
    'E-REQUEST',
    read.error.issues.map((issue) => problemOf(issue, source)),
  );
}

/** The value of a JSON text in UTF-8. Throws 422. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new RequestError(422, 'E-REQUEST', [{ loc: ['body'], msg: 'is not JSON', type: 'json_invalid' }]);
  }
}
