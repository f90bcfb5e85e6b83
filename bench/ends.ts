// What a figure prints on its way, a temporary folder with what was started in it, ended last first, and an end to what takes too long.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const tell = (line: string): void =>
  void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

export interface Ends {
  dir: string;
  add(end: () => unknown): void;
  stop(): Promise<void>;
}

/** What was started has to end with this process by itself when a signal comes; the folder is removed. */
export function openEnds(prefix: string): Ends {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  const removeDir = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  const ends: (() => unknown)[] = [removeDir];
  const onSignal = () => {
    removeDir();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, onSignal);
    ends.push(() => process.off(signal, onSignal));
  }
  return {
    dir,
    add: (end) => void ends.push(end),
    async stop() {
      for (let end = ends.pop(); end; end = ends.pop()) await end();
    },
  };
}

export function endAfter(minutes: number): void {
  setTimeout(() => {
    tell(`not done after ${minutes} minutes`);
    process.kill(process.pid, 'SIGTERM');
  }, minutes * 60_000).unref();
}
