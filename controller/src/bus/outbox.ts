// The way out of an event: into the journal and, right after, into the stream. One of the two is enough; while both are away it waits
// in a bounded memory.

import type { Clock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { MinerEvent } from '../domain/event.ts';
import type { JournalEntry } from '../domain/ports.ts';
import { createEventIds } from './eventid.ts';
import type { Lane } from './lane.ts';
import type { Part } from './part.ts';
import type { Outgoing } from './stream.ts';

export interface OutboxOptions {
  journal: Lane<JournalEntry>;
  stream: Lane<Outgoing>;
  journalPart: Part;
  clock: Clock;
}

export interface Outbox {
  /** Resolves when the event is durable; rejects with E-EVENTS when it can be kept nowhere. Order is that of the calls. */
  publish(event: MinerEvent): Promise<void>;
}

export function createOutbox({ journal, stream, journalPart, clock }: OutboxOptions): Outbox {
  const nextId = createEventIds();
  const patient = new Set<() => void>();
  let turn: Promise<unknown> = Promise.resolve();

  journalPart.onChange(({ state }) => {
    if (state === 'away') for (const giveUp of patient) giveUp();
  });

  /** When the journal had it; undefined as soon as it is known to be away. */
  function journaledAt(written: Promise<void>): Promise<number | undefined> {
    return new Promise((resolve) => {
      function end(at: number | undefined): void {
        patient.delete(giveUp);
        resolve(at);
      }
      const giveUp = () => end(undefined);
      patient.add(giveUp);
      written.then(() => end(clock.now()), giveUp);
      if (journalPart.health().state === 'away') giveUp();
    });
  }

  async function publish(event: MinerEvent): Promise<void> {
    const receivedAt = Math.floor(clock.now());
    const entry = { id: nextId(receivedAt), receivedAt, event };
    const journaled = journal.put(entry);
    // After the journal, so that the mark of a quick handler finds the row; but not waiting for a journal that is away.
    const ready = turn.then(() => journaledAt(journaled));
    turn = ready;
    const streamed = ready.then((at) => stream.put({ entry, journaledAt: at }));
    try {
      await Promise.any([journaled, streamed]);
    } catch {
      throw new MinerError('E-EVENTS', 'an event could be kept neither in Redis nor in the journal', {
        detail: { id: entry.id, type: event.type },
      });
    }
  }

  return { publish };
}
