// Which parts of the controller work, for `/readyz`, its metrics and `doctor`: the database, the event stream, and each validator.

import type { BusHealth } from '../bus/redis.ts';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { Feeds, Store } from '../domain/ports.ts';

export interface PartState {
  part: string;
  ok: boolean;
  /** Since when, ms since the Unix epoch. */
  since?: number | undefined;
  /** One sentence without secrets. */
  detail?: string | undefined;
}

export interface ReadinessParts {
  store: Pick<Store, 'ping'>;
  /** Undefined for events within the process. */
  bus: { health(): BusHealth } | undefined;
  feeds(): ReadonlyMap<string, Feeds>;
  connected(validator: string): boolean;
  clock: Pick<Clock, 'now'>;
}

/** Forty rounds of the feeds; a validator that is gone is told sooner by its socket. */
const feedsLateMs = 600_000;

export function createReadiness({ store, bus, feeds, connected, clock }: ReadinessParts): () => Promise<PartState[]> {
  const before = new Map<string, { ok: boolean; since: number }>();

  function dated(state: PartState): PartState {
    const known = before.get(state.part);
    const entry = known?.ok === state.ok ? known : { ok: state.ok, since: clock.now() };
    before.set(state.part, entry);
    return { ...state, since: state.since ?? entry.since };
  }

  async function storeState(): Promise<PartState> {
    try {
      await store.ping();
      return { part: 'store', ok: true };
    } catch (error) {
      return { part: 'store', ok: false, detail: messageOf(error) };
    }
  }

  function validatorState(validator: string, { chutes }: Feeds): PartState {
    const part = `validator ${validator}`;
    if (!connected(validator)) return { part, ok: false, detail: 'its event socket is down' };
    if (chutes.fetchedAt === undefined) return { part, ok: false, detail: 'its feeds have not answered yet' };
    const late = clock.now() - chutes.fetchedAt;
    return late < feedsLateMs
      ? { part, ok: true }
      : { part, ok: false, detail: `its chutes were last told ${Math.round(late / 1000)} s ago` };
  }

  return async () => {
    const states = [await storeState()];
    const health = bus?.health();
    if (health) {
      const { state, since, reason } = health.redis;
      states.push({ part: 'redis', ok: state === 'up', since, detail: state === 'up' ? undefined : reason });
    }
    for (const [validator, each] of feeds()) states.push(validatorState(validator, each));
    return states.map(dated);
  };
}
