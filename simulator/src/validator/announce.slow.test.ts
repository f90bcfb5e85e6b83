import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CatalogueChute } from '../catalogue.ts';
import { catalogue, itemsOf, listen, minerKey, otherMinerKey, send, testValidator } from './testing.ts';
import { readyValidator } from './testingnode.ts';

const host = '127.0.0.1';

/** A ready validator with a chute of an old library, wanted five times. */
async function older() {
  const ready = await readyValidator({ announcements: true });
  const entry = catalogue.chutes.get(ready.chute.chuteId) as CatalogueChute;
  const chuteId = '00000000-0000-4000-8000-000000000001';
  const item = { ...entry.item, chute_id: chuteId, chutes_version: '0.2.60' };
  ready.validator.createChute({ ...entry, item }, { targetCount: 5, othersActive: 1 });
  const announce = (body: object, key = minerKey, chute = chuteId) =>
    send(ready.validator.url, 'POST', `/instances/${chute}/`, { body, key });
  const [gpu = ''] = ready.devices.map(({ uuid }) => uuid);
  return { ...ready, chuteId, announce, gpu };
}

test('an announced instance is made active by its miner once its port answers, and earns from then on', async () => {
  const { validator, clock, chuteId, announce, gpu } = await older();
  const { next, socket } = await listen(validator);
  const pod = createServer((connection) => connection.end());
  await new Promise<void>((resolve) => pod.listen(0, host, resolve));
  const { port } = pod.address() as { port: number };
  const announced = await announce({ node_ids: [gpu], host, port });
  assert.equal([announced.status, announced.json.active, announced.json.config_id], [202, false, null]);
  const instanceId = announced.json.instance_id;
  assert.is((await next('instance_created')).instance_id, instanceId);
  const path = `/instances/${chuteId}/${instanceId}`;
  const patch = (key = minerKey) => send(validator.url, 'PATCH', path, { body: { active: true }, key });
  assert.is((await patch(otherMinerKey)).status, 404);
  const active = await patch();
  assert.equal([active.status, active.json.active, active.json.verified], [200, true, true]);
  assert.is((await next('instance_verified')).instance_id, instanceId);
  assert.is((await next('instance_activated')).instance_id, instanceId);
  clock.advance(3_600_000);
  assert.ok(validator.stats().score > 0);
  assert.is((await send(validator.url, 'DELETE', path, { tail: 'instances' })).status, 200);
  assert.equal(itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' })), []);
  socket.close();
  pod.close();
  await validator.close();
});

test('an instance whose port does not answer stays inactive, says why, and may be asked about again after a while', async () => {
  const { validator, clock, chuteId, announce, gpu } = await older();
  const { json } = await announce({ node_ids: [gpu], host, port: 81 });
  const patch = () =>
    send(validator.url, 'PATCH', `/instances/${chuteId}/${json.instance_id}`, { body: { active: true } });
  const first = await patch();
  assert.equal([first.status, first.json.active, first.json.verified], [200, false, false]);
  assert.match(first.json.verification_error, '127.0.0.1:81 cannot be reached');
  assert.is((await patch()).status, 429);
  clock.advance(5000);
  assert.is((await patch()).status, 200);
  await validator.close();
});

test('an announcement is checked as a claim is', async () => {
  const { validator, chute, chuteId, announce, gpu } = await older();
  const good = { node_ids: [gpu], host, port: 30_001 };
  const rows: [what: string, answer: ReturnType<typeof announce>, status: number][] = [
    ['a newer library', announce(good, minerKey, chute.chuteId), 400],
    ['no such chute', announce(good, minerKey, 'nothing'), 404],
    ['two GPUs for one', announce({ ...good, node_ids: [gpu, `${gpu.slice(1)}f`] }), 400],
    ['a GPU of another miner', announce(good, otherMinerKey), 403],
    ['another host', announce({ ...good, host: '127.0.0.2' }), 400],
    ['no port', announce({ ...good, port: 'x' }), 422],
  ];
  for (const [what, answer, status] of rows) assert.is((await answer).status, status, what);
  assert.is((await announce(good)).status, 202);
  assert.is((await announce({ ...good, port: 30_002 })).status, 409, 'the GPU is taken');
  validator.setTarget(chuteId, 1);
  assert.is((await announce(good)).status, 423);
  validator.setBlacklisted(minerKey.ss58, true);
  assert.is((await announce(good)).status, 403);
  await validator.close();
});

test('validators of today have neither route', async () => {
  const { validator } = await testValidator();
  assert.is((await send(validator.url, 'POST', '/instances/c/', { body: {} })).status, 404);
  assert.is((await send(validator.url, 'PATCH', '/instances/c/i', { body: { active: true } })).status, 404);
  await validator.close();
});

test.run();
