// What an import found: every row of the source is counted once as taken or left, and whoever left one says why.

import type { z } from 'zod';

export type Kind = 'server' | 'gpu' | 'chute' | 'deployment' | 'audit entry';

export interface Finding {
  kind: Kind;
  /** A person's name for the row; its key, or for servers the name. */
  id: string;
  outcome: 'left' | 'taken';
  /** One sentence. */
  why: string;
}

export interface Findings {
  /** The row in its shape; undefined (and counted as left) when it does not fit. */
  read<T>(kind: Kind, shape: z.ZodType<T>, row: unknown): T | undefined;
  left(kind: Kind, id: string, why: string): void;
  /** Taken, but a person should know something about it. */
  note(kind: Kind, id: string, why: string): void;
  readonly all: readonly Finding[];
}

const keys = ['name', 'deployment_id', 'gpu_id', 'chute_id', 'server_id'];

function keyOf(kind: Kind, row: unknown): string {
  const fields = typeof row === 'object' && row !== null ? (row as Record<string, unknown>) : {};
  const own = kind === 'chute' ? 'chute_id' : keys.find((key) => typeof fields[key] === 'string');
  return String(fields[own ?? ''] ?? 'a row without a key');
}

/** `seed: must not be negative`; never the value, which may be a secret. */
export function whyNot(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

export function createFindings(): Findings {
  const all: Finding[] = [];
  function left(kind: Kind, id: string, why: string): void {
    all.push({ kind, id, outcome: 'left', why });
  }
  return {
    all,
    left,
    note(kind, id, why) {
      all.push({ kind, id, outcome: 'taken', why });
    },
    read(kind, shape, row) {
      const result = shape.safeParse(row);
      if (result.success) return result.data;
      left(kind, keyOf(kind, row), whyNot(result.error));
      return undefined;
    },
  };
}
