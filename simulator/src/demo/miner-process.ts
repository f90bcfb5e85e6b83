// The miner as a process of its own, started again when it dies, as Kubernetes would. Its log goes to `miner.log` in the folder.

import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DemoFolder } from './folder.ts';

const program = fileURLToPath(new URL('../../../controller/src/main.ts', import.meta.url));
const restartPauseMs = 300;
const readyTimeoutMs = 90_000;
const stopTimeoutMs = 10_000;

export interface MinerOptions {
  folder: DemoFolder;
  port: number;
  clockSpeed: number;
  clockEpoch: number;
  /** It died without being asked to, and is started again. */
  onRestart(how: string): void;
}

export interface MinerProcess {
  url: string;
  pid(): number | undefined;
  /** Resolves when the API answers; rejects when the process cannot start, with what it printed. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

export function startMiner({ folder, port, clockSpeed, clockEpoch, onRestart }: MinerOptions): MinerProcess {
  const url = `http://127.0.0.1:${port}`;
  const log = createWriteStream(join(folder.path, 'miner.log'), { flags: 'a' });
  let child: ChildProcess | undefined;
  let stopping = false;
  let lastWords = '';
  let failed: ((error: Error) => void) | undefined;

  function start(): void {
    const options = [
      '--dir',
      folder.path,
      '--hotkey',
      folder.hotkeyFile,
      '--template',
      folder.template,
      '--port',
      String(port),
    ];
    const clock = ['--clock-speed', String(clockSpeed), '--clock-epoch', String(clockEpoch)];
    const started = spawn(process.execPath, [program, 'all', ...options, ...clock, '--follow-parent'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    lastWords = '';
    started.stdout.pipe(log, { end: false });
    started.stderr.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk).slice(-4000);
      log.write(chunk);
    });
    started.on('exit', (code, signal) => {
      if (stopping) return;
      // Wrong configuration does not mend itself.
      if (code === 2) failed?.(new Error(lastWords.trim()));
      else setTimeout(restart, restartPauseMs, signal ?? `code ${code}`);
    });
  }

  function restart(how: string): void {
    if (stopping) return;
    onRestart(how);
    start();
  }

  async function isUp(): Promise<boolean> {
    try {
      return (await fetch(`${url}/ping`, { signal: AbortSignal.timeout(1000) })).ok;
    } catch {
      return false;
    }
  }

  start();
  return {
    url,
    pid: () => child?.pid,
    async ready() {
      const gaveUp = new Promise<never>((_resolve, reject) => {
        failed = reject;
      });
      const deadline = Date.now() + readyTimeoutMs;
      while (!(await Promise.race([isUp(), gaveUp]))) {
        if (Date.now() > deadline)
          throw new Error(`the miner did not start within ${readyTimeoutMs / 1000} s: ${lastWords}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async stop() {
      stopping = true;
      const running = child;
      if (running && running.exitCode === null && running.signalCode === null) {
        const ended = new Promise((resolve) => running.once('exit', resolve));
        running.kill('SIGTERM');
        const forced = setTimeout(() => running.kill('SIGKILL'), stopTimeoutMs);
        await ended;
        clearTimeout(forced);
      }
      log.end();
    },
  };
}
