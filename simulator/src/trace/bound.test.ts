import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bestRate, upperBound } from './bound.ts';
import { createStrategy } from './gepetto.ts';
import { replay } from './replay.ts';
import { chute, makeTrace, near, server } from './testing.ts';

test('the best demand may push another one to a kind that it alone can use', () => {
  const supply = new Map([
    ['a', 1],
    ['b', 1],
  ]);
  const demands = [
    { value: 3, gpus: 1, kinds: ['a', 'b'] },
    { value: 2, gpus: 1, kinds: ['a'] },
  ];
  near(bestRate(demands, supply), 5);
});

test('demand beyond the supply earns nothing', () => {
  near(bestRate([{ value: 2, gpus: 5, kinds: ['a', 'b'] }], new Map([['a', 2]])), 4);
});

test('a full fleet of one chute is bounded by its multiplier, and no play exceeds the bound', () => {
  const trace = makeTrace({ servers: [server('s')], chutes: [chute('c')], duration: 7200 });
  near(upperBound(trace), 16);
  const { score } = replay(trace, createStrategy(1));
  assert.ok(score < 16 && score > 14, `${score}`);
});

test.run();
