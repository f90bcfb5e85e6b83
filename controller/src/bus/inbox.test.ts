import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { JournalEntry } from '../domain/ports.ts';
import { eventOf } from './contract.ts';
import { createInbox, type InboxOptions } from './inbox.ts';
import type { Incoming } from './stream.ts';

const journaledAt = 1_000_000;

function entryOf(id: string): JournalEntry {
  return { id, receivedAt: journaledAt, event: eventOf(id) };
}

function incoming(streamId: string, id: string, change: Partial<Incoming> = {}): Incoming {
  return { streamId, entry: entryOf(id), journaledAt, problem: undefined, ...change };
}

function setup(change: Partial<InboxOptions> = {}) {
  const seen = {
    delivered: [] as string[],
    acknowledged: [] as string[],
    marked: [] as string[],
    problems: [] as string[],
  };
  const inbox = createInbox({
    async deliver({ id }) {
      seen.delivered.push(id);
      return true;
    },
    acknowledge: (streamId) => seen.acknowledged.push(streamId),
    mark: (id) => seen.marked.push(id),
    onUnreadable: (problem) => seen.problems.push(problem),
    window: 2,
    remember: 100,
    ...change,
  });
  return { inbox, seen };
}

test('an event that comes on several ways is delivered once, and each entry of it acknowledged', async () => {
  const { inbox, seen } = setup();
  inbox.fromJournal(entryOf('a'));
  inbox.fromStream(incoming('1', 'a'));
  inbox.fromStream(incoming('2', 'a'));
  assert.equal(seen.acknowledged, [], 'not before it is handled');
  await inbox.idle();
  inbox.fromStream(incoming('3', 'a'));
  assert.equal(seen, { delivered: ['a'], acknowledged: ['1', '2', '3'], marked: ['a'], problems: [] });
});

test('an event that was handled and is still open in the journal is marked again, not delivered', async () => {
  const { inbox, seen } = setup();
  inbox.fromStream(incoming('1', 'a'));
  await inbox.idle();
  inbox.fromJournal(entryOf('a'));
  assert.equal([seen.delivered, seen.marked], [['a'], ['a', 'a']]);
});

test('what the subscribers were not done with is neither acknowledged nor marked, and comes again', async () => {
  const answers = [false, true];
  const { inbox, seen } = setup({ deliver: async () => answers.shift() ?? true });
  inbox.fromStream(incoming('1', 'a'));
  await inbox.idle();
  assert.equal([seen.acknowledged, seen.marked], [[], []]);
  inbox.fromStream(incoming('1', 'a'));
  await inbox.idle();
  assert.equal([seen.acknowledged, seen.marked], [['1'], ['a']]);
});

const minute = 60_000;
for (const [what, one, open, at, delivered] of [
  ['in the journal long before and not open is known as handled', incoming('1', 'a'), [], journaledAt + minute + 1, []],
  ['that is open is delivered', incoming('1', 'a'), ['a'], journaledAt + minute + 1, ['a']],
  ['that is young is delivered, for clocks differ', incoming('1', 'a'), [], journaledAt + minute, ['a']],
  [
    'that the journal never had is delivered',
    incoming('1', 'a', { journaledAt: undefined }),
    [],
    journaledAt + 10 * minute,
    ['a'],
  ],
] as const) {
  test(`an event of the stream ${what}`, async () => {
    const { inbox, seen } = setup();
    inbox.learn(new Set(open), at);
    inbox.fromStream(one);
    await inbox.idle();
    assert.equal([seen.delivered, seen.acknowledged], [delivered, ['1']]);
  });
}

test('an entry that cannot be read is told of and acknowledged', () => {
  const { inbox, seen } = setup();
  inbox.fromStream(incoming('1', 'a', { entry: undefined, problem: 'trimmed' }));
  assert.equal([seen.problems, seen.acknowledged, seen.delivered], [['trimmed'], ['1'], []]);
});

test('there is room while fewer events than the window are in work, and waiting for it ends with the signal', async () => {
  const gates = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()];
  let calls = 0;
  const { inbox } = setup({ deliver: () => gates[calls++]?.promise ?? Promise.resolve(true) });
  const stop = new AbortController();
  await inbox.room(stop.signal);
  inbox.fromJournal(entryOf('a'));
  inbox.fromJournal(entryOf('b'));
  let room = false;
  const waiting = inbox.room(stop.signal).then(() => {
    room = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.not(room);
  gates[0]?.resolve(true);
  await waiting;
  inbox.fromJournal(entryOf('c'));
  await new Promise((resolve) => setImmediate(resolve));
  inbox.fromJournal(entryOf('d'));
  stop.abort();
  await inbox.room(stop.signal);
  gates[1]?.resolve(true);
  await inbox.idle();
});

test.run();
