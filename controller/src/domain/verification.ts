// A server that is being added, or verified again, as it is written down before each step: enough to go on or to undo it after a crash.

import type { ServerConfig } from './config.ts';
import type { MemberNode } from './ports.ts';
import type { Server } from './server.ts';

/** What the steps found out and made; all of it survives as JSON, so the seed is not in it. */
export interface VerificationFacts {
  nodePort?: number | undefined;
  server?: Omit<Server, 'seed'> | undefined;
  /** GPUs that the validator knew of this server before. */
  formerGpuIds?: readonly string[] | undefined;
  /** The validator may know the GPUs, and whoever goes on cannot know whether it does. */
  advertised?: boolean | undefined;
  taskId?: string | undefined;
  /** When the wait for the verdict began, ms. */
  waitingSince?: number | undefined;
}

export interface Verification {
  /** Of the server. */
  name: string;
  /** `add` and `recall` (the validator has its GPUs already): a failure takes the server out again; `again`: it stays, and stays cordoned. */
  kind: 'add' | 'recall' | 'again';
  request: ServerConfig;
  /** As it was when the work began. */
  node: MemberNode;
  startedAt: number;
  /** The step that was begun last. */
  step: string;
  /** Set when it is being undone. */
  failure: { code: string; message: string } | undefined;
  facts: VerificationFacts;
}
