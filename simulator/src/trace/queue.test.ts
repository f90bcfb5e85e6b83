import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createQueue, type EventKind, eventClasses } from './queue.ts';

const kinds = Object.keys(eventClasses) as EventKind[];

test('events come by time, then class, then creation, whatever the order they were planned in', () => {
  const event = fc.record({ at: fc.integer({ min: 0, max: 5 }), kind: fc.constantFrom(...kinds) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const queue = createQueue<{ kind: EventKind; at: number; created: number }>();
      const planned = events.map((entry, created) => ({ ...entry, created }));
      for (const entry of planned) queue.push(entry.at, entry);
      const wanted = [...planned].sort(
        (a, b) => a.at - b.at || eventClasses[a.kind] - eventClasses[b.kind] || a.created - b.created,
      );
      const found = [];
      for (let next = queue.pop(); next; next = queue.pop()) found.push(next);
      assert.equal(found, wanted);
      assert.is(queue.nextAt(), Number.POSITIVE_INFINITY);
    }),
  );
});

test('a drained GPU comes before an instance, a failure before the activation of the same second', () => {
  const queue = createQueue<{ kind: EventKind }>();
  const shuffled: EventKind[] = ['healthy', 'activation', 'drained', 'job_end', 'failure', 'instance'];
  for (const kind of shuffled) queue.push(10, { kind });
  const order = shuffled.map(() => queue.pop()?.kind);
  assert.equal(order, ['drained', 'instance', 'failure', 'activation', 'job_end', 'healthy']);
});

test.run();
