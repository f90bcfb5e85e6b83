// Offers of rentals outlive the process: what is on offer is told again from the journal of events, what was tried from the store's rows.

import { createEventIds } from '../bus/eventid.ts';
import type { Clock } from '../domain/clock.ts';
import type { EventBus, Store } from '../domain/ports.ts';
import { createOfferBook, type OfferBook, offerLifeMs } from '../gepetto/offers.ts';

const kept = ['job_created', 'job_deleted'] as const;

/** The book as it was before a restart. Rejects with E-STORE. */
export async function restoreOffers(
  store: Pick<Store, 'recentEvents' | 'lifecycles'>,
  clock: Pick<Clock, 'now'>,
): Promise<OfferBook> {
  const book = createOfferBook();
  const since = clock.now() - offerLifeMs;
  const [entries, rows] = await Promise.all([store.recentEvents(kept, since), store.lifecycles(since)]);
  for (const { event, receivedAt } of entries) {
    if (event.type === 'job_created') book.offer(event.data, receivedAt);
    else if (event.type === 'job_deleted') book.end(event.data.job_id, receivedAt);
  }
  for (const { jobId } of rows) if (jobId !== undefined) book.attempt(jobId, clock.now());
  return book;
}

/** A bus without a journal of its own that writes down what `restoreOffers` reads, each before it is handed on. */
export function keepingOffers(
  bus: EventBus,
  store: Pick<Store, 'addEvents' | 'markEventsHandled'>,
  clock: Pick<Clock, 'now'>,
): EventBus {
  const newId = createEventIds();
  return {
    ...bus,
    async publish(event) {
      if ((kept as readonly string[]).includes(event.type)) {
        const receivedAt = clock.now();
        const id = newId(receivedAt);
        await store.addEvents([{ id, receivedAt, event }]);
        // Nobody delivers it again: only the offers are read back.
        await store.markEventsHandled([id], receivedAt);
      }
      await bus.publish(event);
    },
  };
}
