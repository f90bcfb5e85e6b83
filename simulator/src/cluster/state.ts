// The state file: everything the cluster knows, written whole and atomically, at most once per interval; read once at the start.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { CacheState } from './launch-times.ts';
import type { LedgerSnapshot, PodRecord } from './record.ts';
import type { StoreSnapshot } from './store.ts';

export interface MemberState {
  up: boolean;
  store: StoreSnapshot;
  cache: CacheState;
  pods: PodRecord[];
}

export interface ClusterState {
  format: 1;
  /** Bearer tokens of the members are made from it. */
  secret: string;
  apiPort: number;
  lastSyncedCommit: string | undefined;
  ledger: LedgerSnapshot;
  members: Record<string, MemberState>;
}

// Only what would mislead the start is checked: the file is this program's own.
const shape = z.looseObject({
  format: z.literal(1),
  secret: z.string().min(16),
  apiPort: z.int(),
  ledger: z.looseObject({}),
  members: z.record(
    z.string(),
    z.looseObject({ up: z.boolean(), store: z.looseObject({}), pods: z.array(z.unknown()) }),
  ),
});

/** Undefined when there is no such file; throws when it cannot be used. */
export function readState(path: string): ClusterState | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = shape.safeParse(JSON.parse(text));
  if (!parsed.success)
    throw new Error(`${path} is no state of a simulated cluster: ${parsed.error.issues[0]?.path.join('.')}`);
  return parsed.data as unknown as ClusterState;
}

export interface StateWriter {
  changed(): void;
  /** Write now what is not written yet, and no more after that. */
  close(): void;
}

/** Real time between two writes; more when writing takes long. */
const intervalMs = 500;
const maxShare = 0.05;

/** The file holds launch tokens: only its owner may read it. */
export function createStateWriter(path: string, snapshot: () => ClusterState): StateWriter {
  let timer: NodeJS.Timeout | undefined;
  let pause = intervalMs;
  let closed = false;

  function write(): void {
    timer = undefined;
    const startedAt = performance.now();
    writeFileSync(`${path}.new`, JSON.stringify(snapshot()), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    pause = Math.max(intervalMs, (performance.now() - startedAt) / maxShare);
  }

  return {
    changed() {
      if (!closed) timer ??= setTimeout(write, pause);
    },
    close() {
      closed = true;
      clearTimeout(timer);
      write();
    },
  };
}
