import { parseChute } from '@miner/controller/domain/chute.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, minerKey, raw, send, strangerKey, testValidator } from './testing.ts';

const { validator } = await testValidator();
const { validator: older } = await testValidator({ generation: 'v25' });
test.after(async () => {
  await validator.close();
  await older.close();
});

const get = (path: string, tail = 'miner') => send(validator.url, 'GET', path, { tail });
const missing = '00000000-0000-4000-8000-000000000000';

test('the chutes stream holds every chute, readable by the miner, with the multiplier that its factors give', async () => {
  const items = itemsOf(await get('/miner/chutes/'));
  assert.is(items.length, 174);
  for (const item of items) {
    parseChute(item, validator.hotkey);
    const factors = Object.values(item.compute_multiplier_factors as Record<string, number>);
    const product = factors.reduce((left, right) => left * right, 1);
    assert.ok(Math.abs(product - Number(item.effective_compute_multiplier)) < 1e-9, String(item.name));
  }
});

test('an older validator sends sources and no multipliers', async () => {
  const [item = {}] = itemsOf(await send(older.url, 'GET', '/miner/chutes/', { tail: 'miner' }));
  assert.type(item.code, 'string');
  for (const field of ['tee', 'effective_compute_multiplier', 'bounty', 'disabled']) assert.not(field in item, field);
});

test('only the question for an explicit null is answered with NO_ITEMS', async () => {
  assert.equal(itemsOf(await get('/miner/instances/?explicit_null=True')), ['NO_ITEMS']);
  assert.equal(itemsOf(await get('/miner/instances/')), []);
  assert.equal(itemsOf(await get('/miner/nodes/')), []);
});

for (const path of ['/miner/images/', '/miner/metrics/']) {
  test(`${path} streams objects`, async () => assert.ok(itemsOf(await get(path)).length > 20));
}

test('one chute is read by id and current version', async () => {
  const [first = {}] = itemsOf(await get('/miner/chutes/'));
  const { json } = await get(`/miner/chutes/${first.chute_id}/${first.version}`);
  assert.is(json.name, first.name);
  assert.is((await get(`/miner/chutes/${first.chute_id}/${missing}`)).status, 404);
  assert.is((await get(`/miner/chutes/${missing}/${first.version}`)).status, 404);
});

test('the open reads need no signature', async () => {
  const utilization = (await raw(validator.url, 'GET', '/chutes/utilization', {})).json;
  assert.is(utilization.length, 174);
  assert.is(utilization[0].scalable, false);
  assert.equal((await raw(validator.url, 'GET', '/chutes/rolling_updates', {})).json, []);
  const gpus = (await raw(validator.url, 'GET', '/nodes/supported', {})).json;
  assert.is(Object.keys(gpus).length, 26);
  assert.equal(gpus.h100_sxm.graval, { iterations: 5, estimate: 70 });
});

const newer = ['/miner/active_instances/', '/miner/servers/', '/miner/thrash_cooldowns'];
for (const path of newer) {
  test(`${path} exists at newer validators only`, async () => {
    assert.is((await get(path)).status, 200);
    assert.is((await send(older.url, 'GET', path, { tail: 'miner' })).status, 404);
  });
}

test('the registry accepts the purpose registry and no other', async () => {
  assert.equal((await get('/registry/auth', 'registry')).json, { authenticated: true });
  assert.is((await get('/registry/auth', 'miner')).status, 401);
});

const signed: [method: string, path: string, tail: string][] = [
  ['GET', '/miner/chutes/', 'miner'],
  ['GET', '/miner/instances/', 'miner'],
  ['GET', '/miner/servers/', 'miner'],
  ['GET', `/instances/launch_config?chute_id=${missing}`, 'launch'],
  ['DELETE', `/instances/${missing}/${missing}`, 'instances'],
  ['DELETE', `/nodes/${'0'.repeat(32)}`, 'nodes'],
  ['DELETE', '/servers/s', 'tee'],
  ['DELETE', `/miner/jobs/${missing}`, 'miner'],
];
for (const [method, path, tail] of signed) {
  test(`${method} ${path} refuses strangers, and other purposes as a violation`, async () => {
    const before = validator.stats();
    const status = async (options: object) => (await send(validator.url, method, path, options)).status;
    assert.is.not(await status({ tail }), 401);
    assert.is(await status({ tail, key: strangerKey }), 401);
    assert.is((await raw(validator.url, method, path, {})).status, 401);
    assert.is(validator.stats().rejected, before.rejected + 2);
    assert.is(validator.stats().violations.length, before.violations.length);
    assert.is(await status({ tail: tail === 'sockets' ? 'miner' : 'sockets' }), 401);
    assert.is(validator.stats().violations.at(-1)?.code, 'wrong-purpose');
  });
}

test('a body is hashed as it was sent, and looked at only after that', async () => {
  const post = (body: string, tail?: string) => send(validator.url, 'POST', '/nodes/', { body, tail });
  assert.is((await post('{ "server_id": "s",  "nodes": [] }')).status, 400);
  assert.is((await post('{"server_id":"s","nodes":[]}', 'f'.repeat(64))).status, 401);
  assert.is((await post('not json', 'f'.repeat(64))).status, 401);
  assert.is((await post('not json')).status, 422);
  assert.is((await post('{}')).status, 422);
  assert.is((await send(validator.url, 'POST', '/nodes/')).status, 422);
});

test('errors have a detail, also for a path that does not exist', async () => {
  assert.equal((await get('/nowhere')).json, { detail: 'Not Found' });
});

test('in an outage feeds fail or arrive without items, never with NO_ITEMS', async () => {
  validator.setOutage('error');
  for (const path of ['/miner/chutes/', '/miner/instances/?explicit_null=True', '/miner/servers/']) {
    assert.is((await get(path)).status, 503, path);
  }
  assert.is((await raw(validator.url, 'GET', '/chutes/utilization', {})).status, 503);
  validator.setOutage('empty');
  for (const path of ['/miner/chutes/', '/miner/instances/?explicit_null=True']) {
    const reply = await get(path);
    assert.equal([reply.status, itemsOf(reply)], [200, []], path);
  }
  assert.equal((await raw(validator.url, 'GET', '/chutes/utilization', {})).json, []);
  validator.setOutage('none');
  assert.is(itemsOf(await get('/miner/chutes/')).length, 174);
});

test('the hotkey must match its seed', async () => {
  try {
    await testValidator({ hotkey: { ss58: minerKey.ss58, seed: '33'.repeat(32) } });
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, 'E-HOTKEY');
  }
});

test.run();
