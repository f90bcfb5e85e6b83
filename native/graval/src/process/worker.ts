// A child process that does one backend's work, started with the first call and again after it ended. Calls go one after another. A call
// that is aborted or late ends the process: nothing else stops a foreign library, and the GPU's memory is free for certain.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { GravalError, type Phase } from '../backend.ts';
import type { Call, Reply } from './wire.ts';

export interface CallOptions {
  signal?: AbortSignal | undefined;
  deadlineMs?: number | undefined;
  onProgress?: ((phase: Phase, done: number, total: number) => void) | undefined;
}

export interface Worker {
  /** Rejects with the child's GravalError; INTERNAL when the process died. */
  call<T>(method: string, args?: unknown[], options?: CallOptions): Promise<T>;
  /** How often the child was started: what it knew before is gone after each. */
  readonly starts: number;
  readonly pid: number | undefined;
  close(): Promise<void>;
}

const allowed = /^(PATH|HOME|TMPDIR|LANG|LD_LIBRARY_PATH|(OCL|POCL|CUDA|NVIDIA|GRAVAL|ASAN|LSAN)_.*)$/;

/** No secret of this process's environment reaches a foreign library. */
function cleanEnvironment(extra: Record<string, string>): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name, value]) => allowed.test(name) && value !== undefined);
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...extra };
}

function endedText(code: number | null, signal: string | null, said: string): string {
  const how = signal ? `was ended by ${signal}` : `ended with ${code}`;
  const last = said.trim().split('\n').slice(-3).join(' | ');
  return `the process that works on the GPU ${how}${last ? `: ${last}` : ''}`;
}

/** `environment` is added to what little the child gets of ours. */
export function startWorker(
  options: { environment?: Record<string, string>; setUp?: [string, ...unknown[]] } = {},
): Worker {
  let child: ChildProcess | undefined;
  let starts = 0;
  let said = '';
  let calls = 0;
  let queue: Promise<unknown> = Promise.resolve();
  let current:
    | { id: number; of: ChildProcess; settle: (reply: Reply) => void; fail: (error: GravalError) => void }
    | undefined;

  function start(): ChildProcess {
    const started = fork(fileURLToPath(new URL('child.ts', import.meta.url)), {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: cleanEnvironment(options.environment ?? {}),
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    said = '';
    starts += 1;
    started.stderr?.on('data', (chunk) => {
      said = (said + chunk).slice(-4096);
    });
    started.on('message', (reply: Reply) => {
      if (current?.id === reply.id) current.settle(reply);
    });
    started.on('error', (error) => {
      if (current?.of === started) current.fail(new GravalError('INTERNAL', error.message));
    });
    started.on('close', (code, signal) => {
      if (child === started) child = undefined;
      if (current?.of === started) current.fail(new GravalError('INTERNAL', endedText(code, signal, said)));
    });
    return started;
  }

  function exchange<T>(method: string, args: unknown[], { signal, deadlineMs, onProgress }: CallOptions): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const to = child as ChildProcess;
    const id = ++calls;
    function fail(error: GravalError): void {
      current = undefined;
      reject(error);
    }
    function end(error: GravalError): void {
      fail(error);
      if (child === to) child = undefined;
      to.kill('SIGKILL');
    }
    const abort = () => end(new GravalError('ABORTED', `${method} was ended on request`));
    const late = () => end(new GravalError('TIMEOUT', `${method} took longer than ${deadlineMs} ms`));
    const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs);
    signal?.addEventListener('abort', abort);
    current = {
      id,
      of: to,
      fail,
      settle(reply) {
        if ('progress' in reply) return onProgress?.(reply.progress.phase, reply.progress.done, reply.progress.total);
        current = undefined;
        if ('error' in reply) reject(new GravalError(reply.error.code, reply.error.message));
        else resolve(reply.value as T);
      },
    };
    to.send({ id, method, args } satisfies Call, (error) => {
      if (error && current?.id === id) fail(new GravalError('INTERNAL', error.message));
    });
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  }

  async function setUp(started: ChildProcess, method: string, ...args: unknown[]): Promise<void> {
    try {
      await exchange(method, args, {});
    } catch (error) {
      if (child === started) child = undefined;
      started.kill('SIGKILL');
      throw error;
    }
  }

  async function run<T>(method: string, args: unknown[], callOptions: CallOptions): Promise<T> {
    if (callOptions.signal?.aborted) throw new GravalError('ABORTED', `${method} was ended on request`);
    if (!child) {
      child = start();
      if (options.setUp) await setUp(child, ...options.setUp);
    }
    return exchange<T>(method, args, callOptions);
  }

  return {
    call<T>(method: string, args: unknown[] = [], callOptions: CallOptions = {}) {
      const answer = queue.then(() => run<T>(method, args, callOptions));
      queue = answer.catch(() => {});
      return answer;
    },
    get starts() {
      return starts;
    },
    get pid() {
      return child?.pid;
    },
    async close() {
      const ending = child;
      child = undefined;
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
      const closed = new Promise((resolve) => ending.once('close', resolve));
      ending.kill('SIGKILL');
      await closed;
    },
  };
}
