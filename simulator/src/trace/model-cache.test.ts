import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createModelCache } from './model-cache.ts';

const sizes: Record<string, number> = { a: 40, b: 40, c: 40, d: 90 };
const cacheOf = (keys: string[]) => createModelCache(100, (key) => sizes[key] ?? 0, keys);
const nothing = new Set<string>();

test('the least recently used model leaves a full cache', () => {
  const cache = cacheOf(['a', 'b']);
  cache.use('a', 10);
  cache.use('b', 20);
  cache.use('c', 30);
  cache.trim(nothing);
  assert.equal(cache.keys().sort(), ['b', 'c']);
});

test('of two models used at the same time the smaller key leaves', () => {
  const cache = cacheOf(['b', 'a']);
  cache.use('c', 30);
  cache.trim(nothing);
  assert.equal(cache.keys().sort(), ['b', 'c']);
});

test('a model in use stays, the next one leaves', () => {
  const cache = cacheOf(['a', 'b']);
  cache.use('c', 30);
  cache.trim(new Set(['a']));
  assert.equal(cache.keys().sort(), ['a', 'c']);
});

test('the cache overflows when all models are in use', () => {
  const cache = cacheOf(['a', 'b']);
  cache.use('d', 30);
  cache.trim(new Set(['a', 'b', 'd']));
  assert.equal(cache.keys().sort(), ['a', 'b', 'd']);
});

test('a full cache that just fits evicts nothing, and models of unknown size count as nothing', () => {
  const cache = cacheOf(['a', 'b', 'unknown']);
  cache.trim(nothing);
  assert.equal(cache.keys(), ['a', 'b', 'unknown']);
});

test('eviction goes on until the rest fits', () => {
  const cache = cacheOf(['a', 'b']);
  cache.use('d', 30);
  cache.trim(new Set(['d']));
  assert.equal(cache.keys(), ['d']);
});

test.run();
