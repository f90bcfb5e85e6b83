// The journal as the bus uses it: every call has an end, and tells whether the journal is there.

import { messageOf } from '../domain/errors.ts';
import type { JournalEntry, Store } from '../domain/ports.ts';
import type { Part } from './part.ts';
import { within } from './patience.ts';

export type JournalStore = Pick<Store, 'addEvents' | 'markEventsHandled' | 'unhandledEvents'>;

export interface Journal {
  add(entries: readonly JournalEntry[]): Promise<void>;
  markHandled(ids: readonly string[], at: number): Promise<void>;
  /** Oldest first; undefined when the journal does not answer. */
  unhandled(receivedBefore: number, limit: number): Promise<JournalEntry[] | undefined>;
  /** Rejects when it does not answer. */
  probe(): Promise<void>;
}

/** `timeoutMs` is real time. */
export function guardJournal(store: JournalStore, part: Part, timeoutMs: number): Journal {
  async function unhandled(receivedBefore: number, limit: number): Promise<JournalEntry[] | undefined> {
    try {
      const entries = await within(timeoutMs, 'reading the journal', store.unhandledEvents(receivedBefore, limit));
      part.up();
      return entries;
    } catch (error) {
      part.away(messageOf(error));
      return undefined;
    }
  }

  async function probe(): Promise<void> {
    if (!(await unhandled(0, 1))) throw new Error(part.health().reason);
  }

  return {
    add: (entries) => store.addEvents(entries),
    markHandled: (ids, at) => store.markEventsHandled(ids, at),
    unhandled,
    probe,
  };
}
