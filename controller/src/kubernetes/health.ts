// Whether a member's answers can be trusted. `unknown` until the first complete list; `unhealthy` once failures last or nothing was
// heard for too long. Being unhealthy changes nothing of what is known.

import type { Clock } from '../domain/clock.ts';
import type { MemberHealth } from '../domain/deployment.ts';
import type { MemberNode } from '../domain/ports.ts';
import { createDeadline } from './pace.ts';

/** How long failures are taken for a hiccup. */
const graceMs = 5_000;

export interface HealthKeeper {
  current(): MemberHealth;
  /** A complete list has arrived. */
  synced(): void;
  /** A list failed. */
  failed(why: string): void;
  /** The node was seen. */
  saw(node: Pick<MemberNode, 'ready' | 'cordoned'>): void;
  stop(): void;
}

export interface HealthOptions {
  clock: Clock;
  staleAfterMs: number;
  /** Called when the state changed; `why` only for `unhealthy`. */
  onState(state: MemberHealth['state'], why: string | undefined): void;
}

export function createHealth({ clock, staleAfterMs, onState }: HealthOptions): HealthKeeper {
  let health: MemberHealth = { state: 'unknown', since: clock.now(), syncedAt: undefined };
  let lastFailure = '';

  function become(state: MemberHealth['state'], why?: string): void {
    // A member that was never seen whole stays unknown, whatever is wrong with it.
    if (health.state === state || (health.state === 'unknown' && state === 'unhealthy')) return;
    health = { ...health, state, since: clock.now() };
    onState(state, why);
  }

  const grace = createDeadline(clock, graceMs, 300, () => become('unhealthy', lastFailure));
  const watchdog = createDeadline(clock, staleAfterMs, 5_000, () =>
    become('unhealthy', `no complete list for ${staleAfterMs / 1000} s`),
  );

  return {
    current: () => health,
    synced() {
      grace.cancel();
      watchdog.restart();
      health = { ...health, syncedAt: clock.now() };
      become('healthy');
    },
    failed(why) {
      lastFailure = why;
      grace.start();
    },
    saw({ ready, cordoned }) {
      const closed = cordoned ? 'its node is cordoned' : ready ? undefined : 'its node is not ready';
      if (closed !== health.closed) health = { ...health, closed };
    },
    stop() {
      grace.cancel();
      watchdog.cancel();
    },
  };
}
