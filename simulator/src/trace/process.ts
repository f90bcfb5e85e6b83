// A strategy as a program of its own: a snapshot per line in, a list of actions per line out (trace format, section 5). It ends when its
// input is closed; its standard error is passed through.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { Trace } from './format.ts';
import type { TraceResult } from './market.ts';
import type { Snapshot } from './protocol.ts';
import { createReplay } from './replay.ts';

export interface ProgramOptions {
  command: string;
  args?: readonly string[];
  /** Real time for one answer; 60 s unless set. */
  answerMs?: number;
}

type Encode = (snapshot: Snapshot) => string;

/** Snapshots as JSON lines. Servers and chutes that did not change are the same objects as before, so their text is kept. */
export function createEncoder(): Encode {
  const known = new WeakMap<object, string>();
  const encode = (item: object): string => {
    let text = known.get(item);
    if (text === undefined) {
      text = JSON.stringify(item);
      known.set(item, text);
    }
    return text;
  };
  return ({ servers, chutes, ...rest }) => {
    const head = JSON.stringify(rest).slice(0, -1);
    return `${head},"servers":[${servers.map(encode).join(',')}],"chutes":[${chutes.map(encode).join(',')}]}\n`;
  };
}

/** What a line says; undefined, which is no list, when it is not JSON. */
function decode(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

interface Program {
  ask(line: string): Promise<unknown>;
  close(): Promise<void>;
}

function startProgram({ command, args = [], answerMs = 60_000 }: ProgramOptions): Program {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let waiting: PromiseWithResolvers<unknown> | undefined;
  let dead: MinerError | undefined;
  const ended = Promise.withResolvers<void>();

  function fail(why: string): void {
    dead ??= new MinerError('E-USAGE', `The strategy program ${command} ${why}.`);
    waiting?.reject(dead);
    ended.resolve();
  }
  child.on('error', (error) => fail(`cannot run: ${messageOf(error)}`));
  child.on('exit', (code, signal) => fail(`ended early (${signal ?? `exit code ${code}`})`));
  // A program that ended is told of by its exit, not by the broken pipe.
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => waiting?.resolve(decode(line)));

  return {
    async ask(line) {
      if (dead) throw dead;
      waiting = Promise.withResolvers();
      const timer = setTimeout(() => {
        fail(`gave no answer within ${answerMs / 1000} s`);
        child.kill('SIGKILL');
      }, answerMs);
      child.stdin.write(line);
      try {
        return await waiting.promise;
      } finally {
        clearTimeout(timer);
        waiting = undefined;
      }
    },
    async close() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
      await ended.promise;
      clearTimeout(timer);
    },
  };
}

/** Plays the whole trace with a program. Throws E-USAGE when it cannot run, ends early or does not answer in time. */
export async function replayProgram(trace: Trace, options: ProgramOptions): Promise<TraceResult> {
  const program = startProgram(options);
  const encode = createEncoder();
  const run = createReplay(trace);
  try {
    for (let snapshot = run.next(); snapshot; snapshot = run.next()) run.answer(await program.ask(encode(snapshot)));
  } finally {
    await program.close();
  }
  return run.result();
}
