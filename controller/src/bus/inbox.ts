// Every event that reaches this process, on whichever way, becomes one delivery to the subscribers; when all are done with it, it is
// acknowledged in the stream and marked in the journal.

import type { JournalEntry } from '../domain/ports.ts';
import { createRecent } from './recent.ts';
import type { Incoming } from './stream.ts';

export interface InboxOptions {
  /** Hands it to all subscribers; true when all of them are done with it. */
  deliver(entry: JournalEntry): Promise<boolean>;
  acknowledge(streamId: string): void;
  mark(id: string): void;
  onUnreadable(problem: string, streamId: string): void;
  /** Events in work above which no more should be fetched. */
  window: number;
  /** Ids remembered as handled. */
  remember: number;
}

export interface Inbox {
  fromStream(incoming: Incoming): void;
  fromJournal(entry: JournalEntry): void;
  /** What the journal had open at a time; with it, events of the stream that were handled long before are known as such. */
  learn(open: ReadonlySet<string>, at: number): void;
  /** Resolves when fewer than `window` are in work, or the signal aborts. */
  room(signal: AbortSignal): Promise<void>;
  idle(): Promise<void>;
}

/** Clocks of two processes may differ by that much, ms. */
const clockSkewMs = 60_000;

export function createInbox(options: InboxOptions): Inbox {
  const { deliver, acknowledge, mark, onUnreadable, window, remember } = options;
  const working = new Map<string, { streamIds: Set<string>; finished: Promise<void> }>();
  const handled = createRecent(remember);
  let known: { open: ReadonlySet<string>; at: number } | undefined;

  async function work(entry: JournalEntry, streamIds: Set<string>): Promise<void> {
    const done = await deliver(entry);
    working.delete(entry.id);
    if (!done) return;
    handled.add(entry.id);
    for (const streamId of streamIds) acknowledge(streamId);
    mark(entry.id);
  }

  function take(entry: JournalEntry, streamId: string | undefined): void {
    const before = working.get(entry.id);
    if (before) {
      if (streamId) before.streamIds.add(streamId);
      return;
    }
    if (handled.has(entry.id)) {
      if (streamId) acknowledge(streamId);
      // The mark may have come before the row: a journal that was away gets its rows late.
      else mark(entry.id);
      return;
    }
    const streamIds = new Set(streamId ? [streamId] : []);
    working.set(entry.id, { streamIds, finished: work(entry, streamIds) });
  }

  /** In the journal before the list of open ones was made, and not on it: somebody handled it and died before the acknowledgement. */
  function handledBefore({ entry, journaledAt }: Incoming): boolean {
    if (!known || !entry || journaledAt === undefined) return false;
    return journaledAt < known.at - clockSkewMs && !known.open.has(entry.id);
  }

  function fromStream(one: Incoming): void {
    if (!one.entry) {
      onUnreadable(one.problem ?? 'empty', one.streamId);
      acknowledge(one.streamId);
    } else if (handledBefore(one)) acknowledge(one.streamId);
    else take(one.entry, one.streamId);
  }

  async function room(signal: AbortSignal): Promise<void> {
    if (working.size < window || signal.aborted) return;
    const stopped = Promise.withResolvers<void>();
    const onAbort = () => stopped.resolve();
    signal.addEventListener('abort', onAbort);
    while (working.size >= window && !signal.aborted)
      await Promise.race([stopped.promise, ...[...working.values()].slice(0, 1).map(({ finished }) => finished)]);
    signal.removeEventListener('abort', onAbort);
  }

  async function idle(): Promise<void> {
    while (working.size > 0) await Promise.all([...working.values()].map(({ finished }) => finished));
  }

  return {
    fromStream,
    fromJournal: (entry) => take(entry, undefined),
    learn(open, at) {
      known = { open, at };
    },
    room,
    idle,
  };
}
