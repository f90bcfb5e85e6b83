// Runs the upstream command line as a miner would: a process of its own, with a home folder of its own and nothing of this machine's
// settings.

import { spawn } from 'node:child_process';
import type { UpstreamCli } from './install.ts';

const timeoutMs = 90_000;

export interface Ran {
  /** Exit code; undefined when it was ended by a signal or took too long. */
  code: number | undefined;
  stdout: string;
  /** Both outputs, without regard to which came first. */
  output: string;
}

export interface RunOptions {
  /** What a person types; the input then ends. Without it there is nobody at the keyboard. */
  input?: string;
  env?: Record<string, string>;
}

/** A function that runs `chutes-miner` with arguments. `home` is where it looks for, and puts, its files. */
export function upstreamRunner({ program }: UpstreamCli, home: string) {
  return function chutesMiner(args: readonly string[], { input, env }: RunOptions = {}): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: home,
        env: {
          PATH: process.env.PATH,
          HOME: home,
          COLUMNS: '240',
          NO_COLOR: '1',
          TERM: 'dumb',
          LANG: 'C.UTF-8',
          ...env,
        },
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk;
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? undefined, stdout, output: stdout + stderr }));
      // It may end without having read what was typed.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input ?? '');
    });
  };
}

export type UpstreamRunner = ReturnType<typeof upstreamRunner>;
