// Drives the demo as a program in tests: starts it, reads its JSON lines, and ends it whatever happens.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./main.ts', import.meta.url));

export type Line = { type: string } & Record<string, unknown>;

export interface RunningDemo {
  pid: number;
  lines: Line[];
  /** The first line of that type, as soon as it is there; rejects when the demo ends or time is up without it. */
  seen(wanted: (line: Line) => boolean, what: string, timeoutMs?: number): Promise<Line>;
  /** Exit code once it ended. */
  ended: Promise<number | null>;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function startDemo(args: readonly string[]): RunningDemo {
  const child = spawn(process.execPath, [program, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const lines: Line[] = [];
  const listeners = new Set<() => void>();
  let rest = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) lines.push(JSON.parse(part));
    for (const listener of listeners) listener();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      running.delete(child);
      resolve(code);
      for (const listener of listeners) listener();
    }),
  );
  return {
    pid: child.pid ?? 0,
    lines,
    ended,
    stderr: () => stderr,
    kill: (signal) => child.kill(signal),
    seen(wanted, what, timeoutMs = 60_000) {
      return new Promise((resolve, reject) => {
        function look(): void {
          const found = lines.find(wanted);
          if (!found && child.exitCode === null && child.signalCode === null) return;
          clearTimeout(timer);
          listeners.delete(look);
          if (found) resolve(found);
          else reject(new Error(`the demo ended without ${what}: ${stderr}`));
        }
        const timer = setTimeout(() => {
          listeners.delete(look);
          reject(new Error(`no ${what} within ${timeoutMs} ms: ${stderr}`));
        }, timeoutMs);
        listeners.add(look);
        look();
      });
    },
  };
}

/** True once the process is gone; waits up to `timeoutMs`. */
export async function isGone(pid: number, timeoutMs = 5000): Promise<boolean> {
  for (const until = Date.now() + timeoutMs; Date.now() < until; ) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
