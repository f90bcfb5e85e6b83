// Keeps a lease, or waits for it. The holder stops by itself a second before anybody else may have it, also when the database is away;
// whoever waits has it within seconds of the holder's death.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { Lease, Store } from '../domain/ports.ts';

export interface LeaseOptions {
  store: Pick<Store, 'takeLease' | 'giveLease'>;
  name: string;
  /** Of this process; nobody else has it. */
  holder: string;
  clock: Pick<Clock, 'now' | 'sleep'>;
  /** Time that never jumps, ms. */
  ticks?: (() => number) | undefined;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Called whenever it is got or lost, one call after the other. */
  onChange?: ((held: boolean) => void) | undefined;
}

export interface KeptLease extends Lease {
  /** Resolves when it was asked for once. */
  asked(): Promise<void>;
  /** Gives it back. */
  close(): Promise<void>;
}

const ttlMs = 6_000;
/** Between two renewals; several fit into the time that it holds. */
const renewMs = 1_500;
/** The holder stops this much earlier than the database lets it go. */
const marginMs = 1_000;

export function keepLease(options: LeaseOptions): KeptLease {
  const { store, name, holder, clock, ticks = () => performance.now(), log, onChange = () => undefined } = options;
  const stopped = new AbortController();
  let heldUntil = Number.NEGATIVE_INFINITY;
  let known = { held: false, holder: 'nobody', since: clock.now() };
  const first = Promise.withResolvers<void>();

  const held = () => ticks() < heldUntil;

  function tell(next: { held: boolean; holder: string }): void {
    if (next.held === known.held && next.holder === known.holder) return;
    const changed = next.held !== known.held;
    known = { ...next, since: clock.now() };
    if (next.held) log.info({ holder }, `lease ${name} is held`);
    else
      log.warn(
        { holder: next.holder },
        changed ? `lease ${name} was lost` : `lease ${name} is held by another process`,
      );
    if (changed) onChange(next.held);
  }

  async function ask(): Promise<void> {
    // The database counts from later than this.
    const asked = ticks();
    try {
      const term = await store.takeLease(name, holder, ttlMs);
      heldUntil = term.held ? asked + ttlMs - marginMs : Number.NEGATIVE_INFINITY;
      // An answer that came too late is worth nothing.
      tell({ held: held(), holder: term.holder });
    } catch (error) {
      if (!held()) tell({ held: false, holder: `nobody knows whom: ${messageOf(error)}` });
    }
  }

  /** Tells of a loss in time, also while an answer of the database is waited for. */
  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      await clock.sleep(renewMs / 3, stopped.signal);
      if (known.held && !held()) tell({ held: false, holder: 'nobody: it could not be renewed in time' });
    }
  }

  async function keep(): Promise<void> {
    while (!stopped.signal.aborted) {
      await ask();
      first.resolve();
      await clock.sleep(renewMs, stopped.signal);
    }
  }

  const running = Promise.all([keep(), watch()]);
  return {
    held,
    state: () => ({ ...known, held: held() }),
    asked: () => first.promise,
    async close() {
      stopped.abort();
      await running;
      heldUntil = Number.NEGATIVE_INFINITY;
      // Without the database it runs out by itself.
      await store.giveLease(name, holder).catch(() => undefined);
    },
  };
}
