// Calls the program inside the test, with streams in memory and an environment of its own.

import { PassThrough } from 'node:stream';
import type { Io } from '../command.ts';
import { run } from '../run.ts';

export interface CallOptions {
  env?: Record<string, string>;
  /** What a person types; without it nobody is at the keyboard. */
  types?: string;
  /** Stdout is a terminal of this many columns. */
  columns?: number;
  signal?: AbortSignal;
  /** Called with each piece of stdout. */
  onOutput?(text: string): void;
}

export interface Called {
  code: number;
  stdout: string;
  stderr: string;
}

export async function call(args: readonly string[], options: CallOptions = {}): Promise<Called> {
  const { env = {}, types, columns, signal = new AbortController().signal, onOutput } = options;
  let stdout = '';
  let stderr = '';
  const stdin: Io['stdin'] = new PassThrough();
  stdin.isTTY = types !== undefined;
  (stdin as PassThrough).end(types);
  const code = await run(args, {
    stdin,
    stdout: {
      write(text) {
        stdout += text;
        onOutput?.(text);
      },
      ...(columns !== undefined && { isTTY: true, columns }),
    },
    stderr: {
      write(text) {
        stderr += text;
      },
    },
    env,
    signal,
    now: Date.now,
  });
  return { code, stdout, stderr };
}
