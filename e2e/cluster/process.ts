// The programs of the cluster as child processes: each with its own log file, and killed by the kernel when this process dies, however it
// dies. Nobody else's process is ever touched.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessOptions {
  name: string;
  command: string;
  args: readonly string[];
  /** Added to PATH, HOME and LC_ALL; nothing else of ours gets in. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  logFile: string;
  /** Put before the command, for example to enter a network namespace. Default: nothing. */
  prefix?: readonly string[];
}

export interface Process {
  readonly name: string;
  readonly logFile: string;
  /** Undefined while it does not run. */
  pid(): number | undefined;
  /** With the same options; does nothing while it runs. */
  start(): void;
  /** SIGTERM, and SIGKILL after `graceMs` (default 5 s); resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Hold it (SIGSTOP) and let it go on (SIGCONT): a machine that hangs. */
  pause(): void;
  resume(): void;
  /** The end of its log. */
  tail(): string;
}

const running = new Set<ChildProcess>();
// The kernel does it too, but only after this process is gone altogether.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function startProcess(options: ProcessOptions): Process {
  const { name, command, args, logFile, prefix = [], env = {}, cwd = '/' } = options;
  let child: ChildProcess | undefined;

  function start(): void {
    if (child) return;
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a');
    const started = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...prefix, command, ...args], {
      cwd,
      env: { PATH: process.env.PATH, HOME: dirname(logFile), LC_ALL: 'C.UTF-8', ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    started.unref();
    child = started;
    running.add(started);
    const ended = () => {
      running.delete(started);
      if (child === started) child = undefined;
    };
    started.once('exit', ended).once('error', ended);
  }

  async function end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    const ending = child;
    if (!ending) return;
    ending.ref();
    const gone = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
    ending.kill('SIGCONT');
    ending.kill(signal);
    const timer = setTimeout(() => ending.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(timer);
  }

  start();
  return {
    name,
    logFile,
    pid: () => child?.pid,
    start,
    stop: (graceMs = 5_000) => end('SIGTERM', graceMs),
    kill: () => end('SIGKILL', 0),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    tail: () => readFileSync(logFile, 'utf8').slice(-2_000),
  };
}

/**
 * Asks until there is an answer other than undefined and false. Rejects after `timeoutMs` (default 60 s) with `what`, the last error, and
 * the end of the log of `of`; at once when that process is gone.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 60_000, everyMs = 100, of }: { timeoutMs?: number; everyMs?: number; of?: Process | undefined } = {},
): Promise<T> {
  let last: unknown;
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(everyMs)) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (of && of.pid() === undefined) break;
  }
  const gone = of && of.pid() === undefined ? `; ${of.name} has ended` : '';
  const cause = last instanceof Error ? `; ${last.message}` : '';
  const log = of ? `\n--- ${of.logFile}\n${of.tail()}` : '';
  throw new Error(`not seen within ${timeoutMs / 1000} s: ${what}${gone}${cause}${log}`);
}
