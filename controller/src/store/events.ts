// The journal of events: each is written once when it comes in and marked once when what it asked for is durable.

import type { JournalEntry, Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, asc, isNull, or, sql } from './drizzle.ts';
import { idsParameter, inIds, rowsParameter, selectFromRows, time } from './rows.ts';
import { events } from './schema.ts';

type EventStore = Pick<Store, 'addEvents' | 'markEventsHandled' | 'recentEvents' | 'unhandledEvents'>;

export function eventStore(db: Database): EventStore {
  const add = db
    .insert(events)
    .select(selectFromRows(events))
    .onConflictDoNothing({ target: events.eventId })
    .prepare('add_events');
  const handle = db
    .update(events)
    .set({ handledAt: sql`${sql.placeholder('at')}::timestamptz` })
    .where(and(inIds(events.eventId), isNull(events.handledAt)))
    .prepare('mark_events_handled');
  const open = db
    .select({ id: events.eventId, receivedAt: events.receivedAt, event: events.event })
    .from(events)
    .where(and(isNull(events.handledAt), sql`${events.receivedAt} < ${sql.placeholder('before')}::timestamptz`))
    .orderBy(asc(events.receivedAt), asc(events.eventId))
    .limit(sql.placeholder('limit'))
    .prepare('unhandled_events');
  // What came in since then was handled since then: the index on that time is enough.
  const recent = db
    .select({ id: events.eventId, receivedAt: events.receivedAt, event: events.event })
    .from(events)
    .where(
      and(
        or(isNull(events.handledAt), sql`${events.handledAt} >= ${sql.placeholder('since')}::timestamptz`),
        sql`${events.receivedAt} >= ${sql.placeholder('since')}::timestamptz`,
        inIds(events.type),
      ),
    )
    .orderBy(asc(events.receivedAt), asc(events.eventId))
    .prepare('recent_events');

  async function addEvents(entries: readonly JournalEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const rows = entries.map(({ id, receivedAt, event }) => ({
      eventId: id,
      receivedAt,
      type: event.type,
      event,
      handledAt: undefined,
    }));
    await add.execute({ rows: rowsParameter(events, rows) });
  }

  async function markEventsHandled(ids: readonly string[], at: number): Promise<void> {
    if (ids.length > 0) await handle.execute({ ids: idsParameter(ids), at: time(at) });
  }

  function unhandledEvents(receivedBefore: number, limit: number): Promise<JournalEntry[]> {
    return open.execute({ before: time(receivedBefore), limit });
  }

  function recentEvents(types: readonly string[], since: number): Promise<JournalEntry[]> {
    return recent.execute({ ids: idsParameter(types), since: time(since) });
  }

  return { addEvents, markEventsHandled, recentEvents, unhandledEvents };
}
