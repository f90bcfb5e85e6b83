// For people: while no new snapshot can be made, as when `live` may not be read, the last one is shown, with the reason.

import { messageOf } from '../domain/errors.ts';
import type { Snapshot } from '../gepetto/pass.ts';

export interface Seen {
  snapshot: Snapshot;
  /** Why it is an old one; undefined when it is not. */
  problem: string | undefined;
}

/** Rejects like `look` while there is no snapshot at all. */
export function createLastSeen(look: () => Promise<Snapshot>): () => Promise<Seen> {
  let last: Snapshot | undefined;
  return async () => {
    try {
      last = await look();
      return { snapshot: last, problem: undefined };
    } catch (error) {
      if (!last) throw error;
      return { snapshot: last, problem: messageOf(error) };
    }
  };
}
