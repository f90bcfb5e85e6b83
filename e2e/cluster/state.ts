// What a running cluster has told about itself, for `status` and `down`: one file, which is believed only while its process lives.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isAlive } from './lock.ts';

const shape = z.object({
  /** Process id of the one that all others die with. */
  pid: z.int(),
  dir: z.string(),
  parts: z.array(z.object({ name: z.string(), pid: z.int().nullable(), address: z.string(), log: z.string() })),
  kubeconfigs: z.record(z.string(), z.string()),
});
export type ClusterState = z.infer<typeof shape>;

/** Default folder of the one cluster of a person; another one can be named. */
export function defaultFolder(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'chutes-miner', 'cluster');
}

const fileIn = (dir: string): string => join(dir, 'state.json');

export function writeState(state: ClusterState): void {
  writeFileSync(`${fileIn(state.dir)}.new`, JSON.stringify(state, undefined, 2), { mode: 0o600 });
  renameSync(`${fileIn(state.dir)}.new`, fileIn(state.dir));
}

/** Undefined when none runs there; what a dead one left is removed. */
export function readState(dir: string): ClusterState | undefined {
  let text: string;
  try {
    text = readFileSync(fileIn(dir), 'utf8');
  } catch {
    return undefined;
  }
  const state = shape.parse(JSON.parse(text));
  if (isAlive(state.pid)) return state;
  rmSync(fileIn(dir), { force: true });
  return undefined;
}
