import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contains, jsonPatch, mergePatch } from './patch.ts';

test('a merge patch adds, replaces and removes by null', () => {
  const target = { labels: { a: '1', b: '2' }, list: [1, 2], keep: true };
  const patch = { labels: { a: null, c: '3' }, list: [3] };
  assert.equal(mergePatch(target, patch), { labels: { b: '2', c: '3' }, list: [3], keep: true });
  assert.equal(target.labels, { a: '1', b: '2' }, 'the target is left alone');
});

test('a JSON patch works on maps and lists and unescapes its paths', () => {
  const target = { labels: { 'chutes/worker': 'x' }, list: ['a', 'c'] };
  const patch = [
    { op: 'replace', path: '/labels/chutes~1worker', value: 'true' },
    { op: 'add', path: '/list/1', value: 'b' },
    { op: 'add', path: '/list/-', value: 'd' },
    { op: 'remove', path: '/list/0' },
    { op: 'add', path: '/new', value: { x: 1 } },
  ];
  assert.equal(jsonPatch(target, patch), { labels: { 'chutes/worker': 'true' }, list: ['b', 'c', 'd'], new: { x: 1 } });
});

for (const patch of [
  [{ op: 'replace', path: '/missing', value: 1 }],
  [{ op: 'remove', path: '/a/b/c' }],
  [{ op: 'test', path: '/a', value: 2 }],
  [{ op: 'move', path: '/a', from: '/b' }],
  { metadata: {} },
]) {
  test(`the JSON patch ${JSON.stringify(patch)} is refused`, () => {
    assert.throws(() => jsonPatch({ a: 1 }, patch), /patch/);
  });
}

test('what a merge patch was applied to contains the patch, unless it removes', () => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean());
  const tree = fc.dictionary(fc.string(), fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.string(), leaf)));
  fc.assert(fc.property(tree, tree, (target, patch) => contains(mergePatch(target, patch), patch)));
});

test('a key named __proto__ is a key like any other', () => {
  const patch = JSON.parse('{"__proto__":{"a":1}}');
  assert.is(JSON.stringify(mergePatch({ b: 2 }, patch)), '{"b":2,"__proto__":{"a":1}}');
  assert.ok(contains(mergePatch({}, patch), patch));
  assert.not(contains({}, patch));
});

test('contains looks through maps, and wants lists whole', () => {
  assert.ok(contains({ a: { b: 1, c: 2 } }, { a: { b: 1 } }));
  assert.not(contains({ a: [1, 2] }, { a: [1] }));
  assert.not(contains({ a: { b: 1 } }, { a: { b: 2 } }));
  assert.ok(contains({}, { a: null }));
});

test.run();
