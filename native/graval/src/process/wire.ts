// Messages between a backend and the child process that does its work.

import type { GravalErrorCode, Phase } from '../backend.ts';

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

export type Reply =
  | { id: number; value: unknown }
  | { id: number; error: { code: GravalErrorCode; message: string } }
  | { id: number; progress: { phase: Phase; done: number; total: number } };
