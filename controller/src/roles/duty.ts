// Of several Gepettos one is on duty: the one that holds the lease. It is started when the lease is got and stopped when it is lost, one
// after the other; the others stand by.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { Lease, Store } from '../domain/ports.ts';
import { keepLease } from './lease.ts';

export interface DutyParts {
  store: Pick<Store, 'takeLease' | 'giveLease'>;
  clock: Clock;
  log: Logger;
  /** Resolves to the way to end what was started. */
  start(lease: Lease): Promise<() => Promise<void>>;
}

export interface Duty {
  state: Lease['state'];
  /** Resolves when the first start has ended, or another process was found on duty; rejects when the first start failed. */
  settled(): Promise<void>;
  /** Ends the work in progress, then gives the lease back. */
  stop(): Promise<void>;
}

const retryMs = 5_000;

export function startDuty({ store, clock, log, start }: DutyParts): Duty {
  const stopped = new AbortController();
  let end: (() => Promise<void>) | undefined;
  let last: Promise<void> = Promise.resolve();
  let first: Promise<void> | undefined;

  async function follow(): Promise<void> {
    const wanted = lease.held() && !stopped.signal.aborted;
    if (wanted && !end) end = await start(lease);
    if (!wanted && end) {
      const ending = end;
      end = undefined;
      await ending();
    }
  }

  /** Again later: what failed once may work then. */
  async function retry(error: unknown): Promise<void> {
    log.error({ err: error }, `gepetto could not start to decide: ${messageOf(error)}`);
    await clock.sleep(retryMs, stopped.signal);
    if (!stopped.signal.aborted) change();
  }

  function change(): void {
    const turn = last.then(follow);
    first ??= turn;
    last = turn.catch(() => undefined);
    turn.catch((error: unknown) => void retry(error));
  }

  const lease = keepLease({
    store,
    name: 'gepetto',
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    clock,
    log,
    onChange: change,
  });
  return {
    state: lease.state,
    async settled() {
      await lease.asked();
      await first;
    },
    async stop() {
      stopped.abort();
      change();
      await last;
      await lease.close();
    },
  };
}
