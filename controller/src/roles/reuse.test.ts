import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createReuse } from './reuse.ts';

interface Row {
  id: string;
  gpuIds: string[];
  at?: number | undefined;
  more?: unknown;
}
const keyOf = ({ id }: Row) => id;

test('a row that says the same stays the object it was, one that changed does not', () => {
  const reuse = createReuse(keyOf);
  const first = reuse([
    { id: 'a', gpuIds: ['1', '2'], at: 5 },
    { id: 'b', gpuIds: [] },
  ]);
  const second = reuse([
    { id: 'b', gpuIds: [], at: 7 },
    { id: 'a', gpuIds: ['1', '2'], at: 5 },
  ]);
  assert.is(second[1], first[0]);
  assert.equal(second[0], { id: 'b', gpuIds: [], at: 7 });
});

test('a row that was away in between is a new one', () => {
  const reuse = createReuse(keyOf);
  const [first] = reuse([{ id: 'a', gpuIds: [] }]);
  reuse([]);
  const [third] = reuse([{ id: 'a', gpuIds: [] }]);
  assert.is.not(third, first);
  assert.equal(third, first);
});

const different: [what: string, a: unknown, b: unknown][] = [
  ['other keys of the same number', { x: undefined }, { y: 1 }],
  ['a list and an object', ['1'], { 0: '1' }],
  ['dates', new Date(1), new Date(2)],
  ['nothing and null', undefined, null],
  ['an object and null', {}, null],
  ['a longer list', ['1'], ['1', '2']],
];
for (const [what, a, b] of different) {
  test(`rows that differ in ${what} are told apart`, () => {
    const reuse = createReuse(keyOf);
    reuse([{ id: 'a', gpuIds: [], more: a }]);
    const [second] = reuse([{ id: 'a', gpuIds: [], more: b }]);
    assert.equal(second?.more, b);
  });
}

test('whatever the rows are, what comes out equals what went in', () => {
  const row = fc.record({ id: fc.constantFrom('a', 'b'), gpuIds: fc.array(fc.string()), more: fc.jsonValue() });
  fc.assert(
    fc.property(fc.array(fc.uniqueArray(row, { selector: keyOf })), (looks) => {
      const reuse = createReuse<Row>(keyOf);
      for (const rows of looks) assert.equal(reuse(rows), rows);
    }),
  );
});

test.run();
