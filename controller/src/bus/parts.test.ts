// The small parts: messages, ids, memory of what was seen.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventReasons, type MinerEvent } from '../domain/event.ts';
import { createEventIds } from './eventid.ts';
import { readMessage, writeMessage } from './message.ts';
import { createRecent } from './recent.ts';

test('an event is written as event_type and event_data, where the data name its validator', () => {
  const event: MinerEvent = { type: 'job_deleted', validator: 'v', data: { job_id: 'j' } };
  assert.equal(JSON.parse(writeMessage(event)), {
    event_type: 'job_deleted',
    event_data: { job_id: 'j', validator: 'v' },
  });
  assert.equal(readMessage(writeMessage(event)), event);
});

test('fields that nobody reads are no obstacle', () => {
  const text = JSON.stringify({
    event_type: 'job_deleted',
    event_data: { job_id: 'j', validator: 'v', x: 1 },
    sent: 'now',
  });
  assert.equal(readMessage(text), { type: 'job_deleted', validator: 'v', data: { job_id: 'j' } });
});

test('an unknown type is no event and no error', () => {
  const strange = { event_type: 'instance_disabled', event_data: { validator: 'v' } };
  assert.is(readMessage(JSON.stringify(strange)), undefined);
});

for (const [what, text] of [
  ['text that is no JSON', '{'],
  ['a list', '[]'],
  ['no type', '{"event_data":{}}'],
  ['no data', '{"event_type":"job_deleted"}'],
  ['no validator', '{"event_type":"job_deleted","event_data":{"job_id":"j"}}'],
  ['a field that is missing', '{"event_type":"job_deleted","event_data":{"validator":"v"}}'],
  ['a server without its id', '{"event_type":"server_deleted","event_data":{}}'],
] as const) {
  test(`${what} is an error`, () => {
    assert.throws(() => readMessage(text));
  });
}

test('whatever JSON comes, reading gives an event of a known type, nothing, or an error', () => {
  const types = fc.oneof(fc.constantFrom(...eventReasons, 'server_deleted', '__proto__'), fc.string());
  const message = fc.record({ event_type: types, event_data: fc.dictionary(fc.string(), fc.jsonValue()) });
  fc.assert(
    fc.property(fc.oneof(message, fc.jsonValue()), (value) => {
      let event: MinerEvent | undefined;
      try {
        event = readMessage(JSON.stringify(value));
      } catch {
        return;
      }
      assert.ok(event === undefined || [...eventReasons, 'server_deleted'].includes(event.type));
    }),
  );
});

test('ids are UUIDs that sort as they were made, also within a millisecond and when the clock steps back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 50 }), (steps) => {
      const next = createEventIds();
      let now = 1_735_689_600_000;
      const ids = steps.map((step) => {
        now += step;
        return next(now);
      });
      assert.equal([...ids].sort(), ids);
      assert.is(new Set(ids).size, ids.length);
      for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }),
  );
  const next = createEventIds();
  const many = Array.from({ length: 10_000 }, () => next(5));
  assert.equal([...many].sort(), many);
});

test('the newest ids are remembered, the oldest forgotten', () => {
  const recent = createRecent(3);
  for (const id of ['a', 'b', 'c', 'b', 'd']) recent.add(id);
  assert.equal(
    ['a', 'b', 'c', 'd'].map((id) => recent.has(id)),
    [false, true, true, true],
  );
});

test.run();
