// Whether the git host answers, as the last look or push showed.

import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { RemoteHealth } from '../domain/ports.ts';
import type { Follower } from './follow.ts';
import type { Publisher } from './publish.ts';

export interface Contact {
  health(): RemoteHealth;
  /** Notes how each look ends. */
  noteLooks(follower: Follower): Follower;
  /** Notes pushes that arrive; those that do not are followed by a look. */
  notePushes(publisher: Publisher): Publisher;
}

export function createContact(clock: Pick<Clock, 'now'>): Contact {
  let health: RemoteHealth = { ok: true, since: clock.now(), answeredAt: undefined, detail: undefined };

  function answered(): void {
    const at = clock.now();
    health = { ok: true, since: health.ok ? health.since : at, answeredAt: at, detail: undefined };
  }

  function silent(error: unknown): void {
    const since = health.ok ? clock.now() : health.since;
    health = { ...health, ok: false, since, detail: messageOf(error) };
  }

  return {
    health: () => health,
    noteLooks: (follower) => ({
      ...follower,
      async look(branch) {
        try {
          const found = await follower.look(branch);
          answered();
          return found;
        } catch (error) {
          silent(error);
          throw error;
        }
      },
    }),
    notePushes: (publisher) => ({
      async publish(move, pack) {
        await publisher.publish(move, pack);
        answered();
      },
    }),
  };
}
