// Where a figure was taken: printed with each one, so that figures of different machines are not compared by mistake.

import { cpus } from 'node:os';

export interface Machine {
  cpus: number;
  model: string;
  node: string;
}

export function machine(): Machine {
  const all = cpus();
  return { cpus: all.length, model: all[0]?.model ?? 'unknown', node: process.versions.node };
}
