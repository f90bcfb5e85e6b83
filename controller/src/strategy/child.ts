// One process with one strategy: loaded once, asked one question at a time, each with a time limit. What fails ends the process; whoever
// wants to go on starts another one.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Answer, answerSchema, type Question } from '../domain/advice.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Order, Reply } from './sandbox.ts';

export interface Limits {
  /** Until the process is there, ms: says nothing about the strategy. */
  startMs: number;
  /** For loading it, and for each answer, ms. */
  answerMs: number;
  /** Of the heap; there is no other memory to be had. */
  memoryMb: number;
}

export const limits: Limits = { startMs: 20_000, answerMs: 2000, memoryMb: 128 };

export interface Child {
  /** Rejects with E-STRATEGY; the process is of no use any more then. */
  ask(question: Question): Promise<Answer>;
  close(): void;
}

/** The parent is patient a little longer than the process itself, whose word says more. */
const graceMs = 500;
const sandbox = fileURLToPath(new URL('./sandbox.ts', import.meta.url));
const inside = fileURLToPath(new URL('./inside.ts', import.meta.url));

function faulty(because: string): MinerError {
  return new MinerError('E-STRATEGY', because);
}

function parseAnswer(text: string): Answer {
  const result = answerSchema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw faulty(`its answer is wrong at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`);
}

function startProcess({ memoryMb }: Limits) {
  const flags = [
    '--permission',
    `--allow-fs-read=${inside}`,
    '--disallow-code-generation-from-strings',
    '--frozen-intrinsics',
    '--experimental-vm-modules',
    '--no-warnings',
    `--max-old-space-size=${memoryMb}`,
    '--max-semi-space-size=8',
  ];
  return spawn(process.execPath, [...flags, sandbox], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

/** Starts a process and loads the text of a strategy into it. Rejects with E-STRATEGY. */
export async function startChild(text: string, given: Limits = limits): Promise<Child> {
  const child = startProcess(given);
  let waiting: PromiseWithResolvers<Reply> | undefined;
  let dead: MinerError | undefined;

  function end(because: string): void {
    dead ??= faulty(because);
    child.kill('SIGKILL');
    waiting?.reject(dead);
  }
  child.on('message', (reply: Reply) => waiting?.resolve(reply));
  child.on('error', (error) => end(`its process cannot run: ${messageOf(error)}`));
  child.on('exit', (code, signal) => {
    // V8 ends the process with this signal when the heap is full.
    if (signal === 'SIGABRT') return end(`it used more than ${given.memoryMb} MB of memory`);
    end(`its process ended (${signal ?? `exit code ${code}`})`);
  });
  // A miner that stops does not wait for it.
  child.unref();
  child.channel?.unref();

  async function hear(ms: number, what: string, order?: Order): Promise<Reply> {
    if (dead) throw dead;
    waiting = Promise.withResolvers();
    const timer = setTimeout(() => end(`it ${what} within ${ms} ms`), ms + graceMs);
    try {
      if (order) child.send(order, (error) => error && end(`its process cannot be reached: ${messageOf(error)}`));
      const reply = await waiting.promise;
      if (reply.kind === 'failed') end(reply.because);
      if (dead) throw dead;
      return reply;
    } finally {
      clearTimeout(timer);
      waiting = undefined;
    }
  }

  const limitMs = given.answerMs;
  await hear(given.startMs, 'did not start');
  await hear(limitMs, 'was not loaded', { kind: 'load', text, limitMs });
  return {
    async ask(question) {
      const order: Order = { kind: 'ask', question: JSON.stringify(question), limitMs };
      const reply = await hear(limitMs, 'gave no answer', order);
      return parseAnswer(reply.kind === 'answered' ? reply.answer : 'null');
    },
    close: () => end('it was stopped'),
  };
}
