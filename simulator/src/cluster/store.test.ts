import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiError, type KubeObject } from './kube.ts';
import { parseSelectors } from './selector.ts';
import { type Change, createStore } from './store.ts';

function pod(name: string, labels: Record<string, string> = {}): KubeObject {
  const metadata = { name, uid: name, resourceVersion: '', creationTimestamp: '', labels };
  return { apiVersion: 'v1', kind: 'Pod', metadata };
}

function reasonOf(action: () => unknown): string {
  try {
    action();
    return 'none';
  } catch (error) {
    return error instanceof ApiError ? error.status.reason : String(error);
  }
}

test('every write has a revision of its own, and the changes after one can be replayed', () => {
  const store = createStore();
  const created = store.create('pods', pod('a'));
  store.create('secrets', pod('s'));
  store.update('pods', pod('a', { x: '1' }));
  store.remove('pods', 'a');
  const replay = store.since('pods', Number(created.metadata.resourceVersion));
  assert.equal(
    replay.map(({ type }) => type),
    ['MODIFIED', 'DELETED'],
  );
  assert.is(replay[1]?.object.metadata.resourceVersion, String(store.revision));
});

test('a reader that replays changes from any revision on ends with what is stored', () => {
  const step = fc.tuple(fc.constantFrom('create', 'update', 'remove'), fc.constantFrom('a', 'b', 'c'));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(30), (steps, cut) => {
      const store = createStore();
      let view = new Map<string, string>();
      let from = store.revision;
      for (const [i, [verb, name]] of steps.entries()) {
        if (i === cut) {
          view = new Map(store.list('pods').map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
          from = store.revision;
        }
        reasonOf(() =>
          verb === 'remove' ? store.remove('pods', name) : store[verb as 'create' | 'update']('pods', pod(name)),
        );
      }
      for (const { type, object } of store.since('pods', from)) {
        if (type === 'DELETED') view.delete(object.metadata.name);
        else view.set(object.metadata.name, object.metadata.resourceVersion);
      }
      const stored = store.list('pods').map(({ metadata }) => [metadata.name, metadata.resourceVersion]);
      assert.equal([...view].sort(), stored.sort());
    }),
  );
});

test('conflicts, strangers and forgotten revisions have their reasons', () => {
  const store = createStore();
  store.create('pods', pod('a'));
  const cases: [string, () => unknown][] = [
    ['AlreadyExists', () => store.create('pods', pod('a'))],
    ['NotFound', () => store.update('pods', pod('b'))],
    ['NotFound', () => store.remove('pods', 'b')],
    ['Conflict', () => store.update('pods', pod('a'), '1')],
    ['Expired', () => store.since('pods', store.revision + 1)],
    ['none', () => store.since('pods', 1)],
  ];
  for (const [reason, action] of cases) assert.is(reasonOf(action), reason);
  store.compact();
  assert.is(
    reasonOf(() => store.since('pods', 2)),
    'Expired',
  );
});

test('old changes are dropped per resource, so a quiet resource can be resumed from long ago', () => {
  const store = createStore();
  store.create('nodes', pod('n'));
  const { revision } = store;
  for (let i = 0; i < 1500; i++) store.create('pods', pod(`p${i}`));
  assert.equal(store.since('nodes', revision), []);
  assert.is(
    reasonOf(() => store.since('pods', revision)),
    'Expired',
  );
});

test('a listener that writes does not change the order others see', () => {
  const store = createStore();
  const seen: string[] = [];
  store.onChange(({ object }) => {
    if (object.metadata.name === 'a') store.create('pods', pod('b'));
  });
  store.onChange(({ object }: Change) => seen.push(object.metadata.name));
  store.create('pods', pod('a'));
  assert.equal(seen, ['a', 'b']);
});

test('a snapshot resumes with the same objects and a revision that goes on', () => {
  const store = createStore();
  store.create('pods', pod('a'));
  const resumed = createStore(JSON.parse(JSON.stringify(store.snapshot())));
  assert.equal(resumed.list('pods'), store.list('pods'));
  assert.ok(Number(resumed.create('pods', pod('b')).metadata.resourceVersion) > store.revision);
  assert.is(
    reasonOf(() => resumed.since('pods', 1)),
    'Expired',
  );
});

test('selectors take equality and existence, and refuse sets', () => {
  const object = { ...pod('a', { app: 'graval', 'chutes/chute': 'true' }), status: { phase: 'Running' } };
  const cases: [labels: string | null, fields: string | null, matches: boolean][] = [
    [null, null, true],
    ['app=graval', null, true],
    ['app==graval,chutes/chute=true', null, true],
    ['app!=graval', null, false],
    ['app!=other', null, true],
    ['app', null, true],
    ['!app', null, false],
    ['absent', null, false],
    [null, 'metadata.name=a', true],
    [null, 'metadata.name=a,status.phase!=Running', false],
  ];
  for (const [labels, fields, matches] of cases)
    assert.is(parseSelectors(labels, fields)(object), matches, `${labels} ${fields}`);
  assert.is(
    reasonOf(() => parseSelectors('app in (a,b)', null)),
    'BadRequest',
  );
});

test.run();
