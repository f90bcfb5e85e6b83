// Problems of configuration files as people read them: file, line, field, what was found, what is allowed.

import type { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import { holdsSecret } from './leaks.ts';

export interface Problem {
  /** Path from the root of the branch, with slashes. */
  file: string;
  /** From 1. */
  line: number;
  /** Such as `validators[0].hotkey`; empty when the whole file is meant. */
  field: string;
  found: string;
  allowed: string;
}

type Path = readonly PropertyKey[];

export function formatProblem({ file, line, field, found, allowed }: Problem): string {
  const what = allowed === '' ? found : `found ${found}, allowed: ${allowed}`;
  return `${file}:${line}: ${field === '' ? '' : `${field}: `}${what}`;
}

/** E-CONFIG with a line for each problem; `detail.problems` has them as data. */
export function configError(problems: readonly Problem[]): MinerError {
  return new MinerError('E-CONFIG', problems.map(formatProblem).join('\n'), { detail: { problems } });
}

export function formatField(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`))
    .join('');
}

/** As JSON, short; what looks like a key or a seed phrase is not shown. */
export function formatFound(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a map of fields';
  if (holdsSecret(String(value))) return 'what looks like a secret';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const typeNames: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of fields',
};

const units: Record<string, [one: string, more: string]> = {
  string: [' character', ' characters'],
  array: [' entry', ' entries'],
};

function withUnit(limit: number | bigint, origin: string): string {
  return `${limit}${units[origin]?.[Number(limit) === 1 ? 0 : 1] ?? ''}`;
}

/** What a field may hold, from the issue that it raised. */
export function formatAllowed(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(', ');
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected;
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${withUnit(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${withUnit(issue.maximum, issue.origin)}`;
    case 'invalid_key':
      return issue.issues.map(formatAllowed).join(', ');
    default:
      return issue.message.replace(/^must be /, '');
  }
}

/** Changes of one character that make `a` into `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, char] of [...a].entries()) {
    let [diagonal, left] = [i, i + 1];
    row = row.map((above, j) => {
      if (j > 0) left = Math.min(diagonal + (char === b[j - 1] ? 0 : 1), above + 1, left + 1);
      diagonal = above;
      return left;
    });
  }
  const [changes = 0] = row.slice(-1);
  return changes;
}

/** The known name that is meant most likely, if one is near enough. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const scored = known.map((other) => ({ other, score: distance(name.toLowerCase(), other.toLowerCase()) }));
  const [best] = scored.sort((a, b) => a.score - b.score);
  return best && best.score <= Math.max(1, Math.floor(name.length / 3)) ? best.other : undefined;
}
