// The journal of events.

import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { MinerEvent } from '../../domain/event.ts';
import type { Store } from '../../domain/ports.ts';
import { epoch, hotkey, makeEntry, uuid } from './fixtures.ts';
import type { Rule } from './world.ts';

const late = epoch + 1_000_000;

const idsOf = async (store: Store, before = late, limit = 10_000) =>
  (await store.unhandledEvents(before, limit)).map((entry) => entry.id);

export function eventContract(rule: Rule): void {
  rule('events come back as they came in, the oldest first', async ({ store, rows }) => {
    const deleted: MinerEvent = { type: 'server_deleted', data: { server_id: uuid(1) } };
    const job: MinerEvent = {
      type: 'job_created',
      validator: hotkey,
      data: { chute_id: uuid(1), job_id: 'b', disk_gb: 10, exclude: ['x'], compute_multiplier: 0.1 },
    };
    const given = [makeEntry(3), makeEntry(1, { event: deleted }), makeEntry(2, { event: job })];
    await store.addEvents(given);
    await store.addEvents([]);
    assert.equal(await store.unhandledEvents(late, 10), [given[1], given[2], given[0]]);
    const types = await rows('select type from events order by received_at');
    assert.equal(
      types.map((row) => row.type),
      ['server_deleted', 'job_created', 'bounty_change'],
    );
  });

  rule('an event that is known stays as it is, also within one call and after it was handled', async ({ store }) => {
    await store.addEvents([makeEntry(1), makeEntry(1, { receivedAt: epoch + 50 })]);
    await store.addEvents([makeEntry(1, { receivedAt: epoch + 60 }), makeEntry(2)]);
    assert.equal(await store.unhandledEvents(late, 10), [makeEntry(1), makeEntry(2)]);
    await store.markEventsHandled([makeEntry(1).id], late);
    await store.addEvents([makeEntry(1)]);
    assert.equal(await store.unhandledEvents(late, 10), [makeEntry(2)]);
  });

  rule('only events received before the time asked for come back, and no more than the limit', async ({ store }) => {
    await store.addEvents([makeEntry(1), makeEntry(2), makeEntry(3)]);
    assert.equal(await idsOf(store, epoch + 1), []);
    assert.equal(await idsOf(store, epoch + 3), [makeEntry(1).id, makeEntry(2).id]);
    assert.equal(await idsOf(store, late, 1), [makeEntry(1).id]);
  });

  rule('the first time of handling stays, and unknown ids are no error', async ({ store, rows }) => {
    await store.addEvents([makeEntry(1), makeEntry(2)]);
    await store.markEventsHandled([makeEntry(1).id, uuid(1)], epoch + 10);
    await store.markEventsHandled([makeEntry(1).id, makeEntry(2).id], epoch + 20);
    await store.markEventsHandled([], epoch + 30);
    const times = 'select (extract(epoch from handled_at) * 1000)::float8 as at from events order by event_id';
    assert.equal(await rows(times), [{ at: epoch + 10 }, { at: epoch + 20 }]);
    assert.equal(await idsOf(store), []);
  });

  rule('events of some types since a time come back whether they were handled or not', async ({ store }) => {
    const data = { chute_id: uuid(1), job_id: 'b', disk_gb: 10 };
    const offered = (n: number) => makeEntry(n, { event: { type: 'job_created', validator: hotkey, data } });
    const ended = makeEntry(4, { event: { type: 'job_deleted', validator: hotkey, data: { job_id: 'b' } } });
    await store.addEvents([ended, offered(1), makeEntry(2), offered(3), offered(5)]);
    await store.markEventsHandled([offered(1).id, makeEntry(2).id, offered(3).id], epoch + 10);
    assert.equal(await store.recentEvents(['job_created', 'job_deleted'], epoch + 2), [offered(3), ended, offered(5)]);
    assert.equal(await store.recentEvents([], epoch), []);
  });

  rule('3,500 events fit into one call, and their ids into one mark', async ({ store }) => {
    const many = Array.from({ length: 3500 }, (_, i) => makeEntry(i + 1));
    await store.addEvents(many);
    assert.is((await idsOf(store)).length, 3500);
    await store.markEventsHandled(
      many.slice(1).map((entry) => entry.id),
      late,
    );
    assert.equal(await store.unhandledEvents(late, 10), [makeEntry(1)]);
  });

  rule(
    'whatever the order and repetition of calls, open is what was added and not handled',
    async ({ store, rows }) => {
      const call = fc.record({
        handled: fc.boolean(),
        numbers: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(call, { maxLength: 8 }), async (calls) => {
          await rows('delete from events');
          const open = new Set<number>();
          const seen = new Set<number>();
          for (const { handled, numbers } of calls) {
            if (handled)
              await store.markEventsHandled(
                numbers.map((n) => makeEntry(n).id),
                late,
              );
            else await store.addEvents(numbers.map((n) => makeEntry(n)));
            for (const n of numbers) {
              if (handled) open.delete(n);
              else if (!seen.has(n)) open.add(n);
              if (!handled) seen.add(n);
            }
          }
          assert.equal(
            await idsOf(store),
            [...open].sort((a, b) => a - b).map((n) => makeEntry(n).id),
          );
        }),
        { numRuns: 25 },
      );
    },
  );

  rule('text that no database takes does not keep the other events from being stored', async ({ store }) => {
    const data = { chute_id: 'a\0b\ud800', version: 'v' };
    await store.addEvents([makeEntry(1, { event: { type: 'chute_created', validator: hotkey, data } }), makeEntry(2)]);
    const [first, second] = await store.unhandledEvents(late, 10);
    assert.equal(first?.event, {
      type: 'chute_created',
      validator: hotkey,
      data: { ...data, chute_id: 'a\u{fffd}b\u{fffd}' },
    });
    assert.equal(second, makeEntry(2));
  });
}
