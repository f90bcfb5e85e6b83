import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHeap } from './heap.ts';

test('items come out in order, whatever the order they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (first, later) => {
      const heap = createHeap<number>((a, b) => a - b, first);
      for (const item of later) heap.push(item);
      const out: number[] = [];
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) out.push(item);
      assert.equal(
        out,
        [...first, ...later].sort((a, b) => a - b),
      );
    }),
  );
});

test('the first few are told in order and stay', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.nat(4), (items, count) => {
      const heap = createHeap<number>((a, b) => a - b, items);
      assert.equal(heap.first(count), items.toSorted((a, b) => a - b).slice(0, count));
      assert.is(heap.size, items.length);
    }),
  );
});

test.run();
