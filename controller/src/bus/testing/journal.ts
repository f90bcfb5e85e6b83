// For tests: a journal in memory that does as the store's, and can be away or refuse.

import type { JournalEntry } from '../../domain/ports.ts';
import type { JournalStore } from '../guardedjournal.ts';

export interface MemoryJournal extends JournalStore {
  rows: Map<string, { entry: JournalEntry; handledAt: number | undefined }>;
  /** `silent`: it never answers. */
  state: 'up' | 'away' | 'silent';
  /** Rejects every write that holds one of these events. */
  refuses: (entry: JournalEntry) => boolean;
}

export function memoryJournal(): MemoryJournal {
  const rows: MemoryJournal['rows'] = new Map();

  async function reached(): Promise<void> {
    if (journal.state === 'away') throw new Error('journal is away');
    if (journal.state === 'silent') await new Promise(() => undefined);
  }

  const journal: MemoryJournal = {
    rows,
    state: 'up',
    refuses: () => false,
    async addEvents(entries) {
      await reached();
      if (entries.some(journal.refuses)) throw new Error('does not fit');
      for (const entry of entries) if (!rows.has(entry.id)) rows.set(entry.id, { entry, handledAt: undefined });
    },
    async markEventsHandled(ids, at) {
      await reached();
      for (const id of ids) {
        const row = rows.get(id);
        if (row) row.handledAt ??= at;
      }
    },
    async unhandledEvents(receivedBefore, limit) {
      await reached();
      const open = [...rows.values()].filter(
        ({ entry, handledAt }) => handledAt === undefined && entry.receivedAt < receivedBefore,
      );
      return open
        .map(({ entry }) => entry)
        .sort((a, b) => a.receivedAt - b.receivedAt || a.id.localeCompare(b.id))
        .slice(0, limit);
    },
  };
  return journal;
}
