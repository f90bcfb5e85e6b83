// Remembers in the store what the feeds say of each chute, so that names and definitions are there before a validator has answered.

import type { Chute } from '../domain/chute.ts';
import type { Feeds, Store } from '../domain/ports.ts';

/** Saves what is new or different; a chute that left the feed stays. What could not be saved is tried again with the next call. */
export function createChuteKeeper(store: Pick<Store, 'saveChutes'>) {
  const saved = new Map<string, string>();
  return async (feeds: ReadonlyMap<string, Feeds>): Promise<void> => {
    const fresh = new Map<string, { text: string; chute: Chute }>();
    for (const [validator, { chutes }] of feeds) {
      for (const chute of chutes.items.values()) {
        const key = `${validator} ${chute.chuteId}`;
        const text = JSON.stringify(chute);
        if (saved.get(key) !== text) fresh.set(key, { text, chute });
      }
    }
    if (fresh.size === 0) return;
    await store.saveChutes([...fresh.values()].map(({ chute }) => chute));
    for (const [key, { text }] of fresh) saved.set(key, text);
  };
}
