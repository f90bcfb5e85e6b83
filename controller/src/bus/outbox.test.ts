import fc from 'fast-check';
import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import type { JournalEntry } from '../domain/ports.ts';
import { eventOf, idOf } from './contract.ts';
import type { Lane } from './lane.ts';
import { createOutbox } from './outbox.ts';
import { createPart } from './part.ts';
import type { Outgoing } from './stream.ts';

/** A lane whose items are written by hand, in order. */
function manualLane<T>() {
  const items: { item: T; written: PromiseWithResolvers<void> }[] = [];
  const lane: Pick<Lane<T>, 'put'> = {
    put(item) {
      const written = Promise.withResolvers<void>();
      items.push({ item, written });
      return written.promise;
    },
  };
  return { lane: lane as Lane<T>, items };
}

function setup() {
  const journal = manualLane<JournalEntry>();
  const stream = manualLane<Outgoing>();
  const journalPart = createPart('journal', systemClock, pino({ level: 'silent' }));
  journalPart.up();
  const outbox = createOutbox({ journal: journal.lane, stream: stream.lane, journalPart, clock: systemClock });
  return { outbox, journal: journal.items, stream: stream.items, journalPart };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test('the stream gets an event after the journal has it, and knows when', async () => {
  const { outbox, journal, stream } = setup();
  const published = outbox.publish(eventOf(1));
  await soon();
  assert.is(stream.length, 0);
  journal[0]?.written.resolve();
  await published;
  await soon();
  assert.equal(stream[0]?.item.entry, journal[0]?.item);
  assert.type(stream[0]?.item.journaledAt, 'number');
});

test('when the journal goes away the stream gets all that waited for it, in order, and each is published then', async () => {
  const { outbox, stream, journalPart } = setup();
  const published = [1, 2, 3].map((n) => outbox.publish(eventOf(n)));
  await soon();
  assert.is(stream.length, 0);
  journalPart.away('stopped');
  await soon();
  assert.equal(
    stream.map(({ item }) => [idOf(item.entry.event), item.journaledAt]),
    [
      ['1', undefined],
      ['2', undefined],
      ['3', undefined],
    ],
  );
  for (const { written } of stream) written.resolve();
  await Promise.all(published);
});

test('an event is published when one of the two took it, and refused with E-EVENTS only when neither did', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.boolean(), async (journalTakes, streamTakes) => {
      const { outbox, journal, stream } = setup();
      const outcome = outbox.publish(eventOf(1)).then(
        () => 'published',
        (error: { code: string }) => error.code,
      );
      if (journalTakes) journal[0]?.written.resolve();
      else journal[0]?.written.reject(new Error('full'));
      await soon();
      if (streamTakes) stream[0]?.written.resolve();
      else stream[0]?.written.reject(new Error('full'));
      assert.is(await outcome, journalTakes || streamTakes ? 'published' : 'E-EVENTS');
    }),
  );
});

test.run();
