import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeArgs } from './nodeargs.ts';
import { itemsOf, listen, manualClock, minerKey, otherMinerKey, pause, send, sizes, testValidator } from './testing.ts';
import { addServer, gpus, testNode } from './testingnode.ts';

const l40s = gpuTable.find(({ ref }) => ref === 'l40s') as GpuModel;
const make = (port: number) => gpus(l40s, 'NVIDIA L40S', 2, 'a', port);
const [sample] = gpus(l40s, 'NVIDIA L40S', 1, 'a', 31000) as [NodeArgs];

test('a server is verified by its bootstrap, told by event, and shown with its exact seed', async () => {
  const { validator } = await testValidator();
  const node = await testNode(make);
  const { messages, next } = await listen(validator);
  const body = { server_id: 's-1', server_name: 'gpu-1', nodes: node.devices };
  const registered = await send(validator.url, 'POST', '/nodes/', { body });
  assert.is(registered.status, 202);
  const seed = BigInt(registered.json.nodes[0].seed);
  assert.match(registered.text, `"seed":${seed},`);
  assert.is(BigInt(registered.json.nodes[1].seed), seed);
  assert.ok(registered.json.task_id.startsWith(`${minerKey.ss58}::`));
  await next('gpu_verified');
  await pause(20);
  const verified = messages.map(({ data }) => data);
  assert.equal(
    verified,
    node.devices.map(({ uuid }) => ({ gpu_id: uuid, miner_hotkey: minerKey.ss58 })),
  );
  assert.equal(node.signed, ['/info', '/info', '/prove']);
  const path = `/nodes/verification_status?task_id=${registered.json.task_id}`;
  assert.equal((await send(validator.url, 'GET', path, { tail: 'graval' })).json, { status: 'verified' });
  assert.is((await send(validator.url, 'GET', path, { tail: 'graval', key: otherMinerKey })).status, 401);
  const items = itemsOf(await send(validator.url, 'GET', '/miner/nodes/', { tail: 'miner' }));
  assert.equal(
    items.map((item) => [item.uuid, BigInt(item.seed as bigint), item.server_id, item.verified_at !== null]),
    node.devices.map(({ uuid }) => [uuid, seed, 's-1', true]),
  );
  const { servers } = (await send(validator.url, 'GET', '/miner/servers/', { tail: 'miner' })).json;
  assert.equal([servers[0].name, servers[0].gpus.length], ['gpu-1', 2]);
  node.close();
  await validator.close();
});

const cheats: [name: string, message: RegExp, cheat: Parameters<typeof testNode>[1]][] = [
  [
    'a text that was not decrypted',
    /did not decrypt/,
    (reply) => {
      reply.plaintext = {};
    },
  ],
  [
    'a forged hash',
    /proof of GPU .* is wrong/,
    (reply) => {
      for (const { work_product } of Object.values(reply.proof)) work_product.intermediate_hashes[0] = '0'.repeat(64);
    },
  ],
  [
    'a proof for one GPU only',
    /proof of GPU .* is wrong/,
    (reply) => {
      delete reply.proof[`${'a'.repeat(31)}1`];
    },
  ],
];
for (const [name, message, cheat] of cheats) {
  test(`${name} fails the verification and changes the seed`, async () => {
    const { validator } = await testValidator();
    const node = await testNode(make, cheat);
    const { status, detail } = await addServer(validator, 's', node.devices);
    assert.is(status, 'failed');
    assert.match(detail, message);
    const [item = {}] = itemsOf(await send(validator.url, 'GET', '/miner/nodes/', { tail: 'miner' }));
    assert.equal([item.verified_at, item.verification_error], [null, detail]);
    node.close();
    await validator.close();
  });
}

test('GPUs other than the advertised ones fail the device info', async () => {
  const { validator } = await testValidator();
  const node = await testNode(make);
  const advertised = node.devices.map((device) => ({ ...device, memory: device.memory + 1 }));
  assert.match((await addServer(validator, 's', advertised)).detail, /does not match the advertised GPUs/);
  node.close();
  await validator.close();
});

test('a bootstrap that cannot be reached fails the verification', async () => {
  const { validator } = await testValidator();
  const node = await testNode(make);
  node.close();
  assert.is((await addServer(validator, 's', node.devices)).status, 'failed');
  await validator.close();
});

const paces: [share: number, status: string][] = [
  [0.5, 'failed'],
  [1, 'verified'],
  [1.7, 'failed'],
];
for (const [share, status] of paces) {
  test(`a proof in ${share} of the expected time is ${status}`, async () => {
    const clock = manualClock();
    const { validator } = await testValidator({ clock, graval: { sizes, infoRounds: 1, timing: true } });
    const node = await testNode(make, () => clock.advance(share * 60_000));
    assert.is((await addServer(validator, 's', node.devices)).status, status);
    node.close();
    await validator.close();
  });
}

const two = make(31000);
const other = (change: object) => two.map((node, i) => (i === 1 ? { ...node, ...change } : node));
const refusals: [name: string, nodes: object[], status: number][] = [
  ['no GPU', [], 400],
  ['eleven GPUs', Array.from({ length: 11 }, (_, i) => ({ ...sample, uuid: i.toString(16).repeat(32) })), 400],
  ['the same GPU twice', other({ uuid: two[0]?.uuid }), 400],
  ['the same index twice', other({ device_index: 0 }), 400],
  ['two hosts', other({ verification_host: '127.0.0.2' }), 400],
  ['a wrong model', other({ gpu_identifier: 'h100_sxm' }), 400],
  ['an id that is no GPU id', other({ uuid: 'GPU-1' }), 422],
  ['no processors', other({ processors: undefined }), 422],
  ['a port below 80', other({ verification_port: 79 }), 422],
];
for (const [name, nodes, status] of refusals) {
  test(`registering ${name} is answered with ${status}`, async () => {
    const { validator } = await testValidator();
    const body = { server_id: 's', nodes };
    assert.is((await send(validator.url, 'POST', '/nodes/', { body })).status, status);
    assert.equal(itemsOf(await send(validator.url, 'GET', '/miner/nodes/', { tail: 'miner' })), []);
    await validator.close();
  });
}

test('a known GPU is a conflict; removed, it may come back, but not under another hotkey the same day', async () => {
  const { validator, clock } = await testValidator();
  const register = async (key = minerKey) =>
    (await send(validator.url, 'POST', '/nodes/', { body: { server_id: 's', nodes: two }, key })).status;
  const remove = (key = minerKey) =>
    Promise.all(two.map(({ uuid }) => send(validator.url, 'DELETE', `/nodes/${uuid}`, { tail: 'nodes', key })));
  assert.is(await register(), 202);
  assert.is(await register(), 409);
  assert.is(await register(otherMinerKey), 409);
  assert.equal(
    (await remove(otherMinerKey)).map(({ status }) => status),
    [404, 404],
  );
  assert.equal(
    (await remove()).map(({ json }) => json),
    two.map(({ uuid }) => ({ node_id: uuid, deleted: true })),
  );
  assert.is(await register(otherMinerKey), 429);
  assert.is(await register(), 202);
  await remove();
  clock.advance(24 * 3_600_000);
  assert.is(await register(otherMinerKey), 202);
  await validator.close();
});

test('a server is renamed and removed as a whole at a newer validator, and unknown at an older one', async () => {
  const { validator } = await testValidator();
  const call = (method: string, path: string, url = validator.url) => send(url, method, path, { tail: 'tee' });
  await send(validator.url, 'POST', '/nodes/', { body: { server_id: 's-1', nodes: two } });
  assert.is((await call('PATCH', '/servers/s-1?server_name=gpu-1')).json.name, 'gpu-1');
  assert.is((await call('PATCH', '/servers/s-1')).status, 422);
  assert.is((await call('DELETE', '/servers/gpu-1')).json.name, 'gpu-1');
  assert.is((await call('DELETE', '/servers/gpu-1')).status, 404);
  assert.equal(itemsOf(await send(validator.url, 'GET', '/miner/nodes/', { tail: 'miner' })), []);
  await validator.close();
  const { validator: older } = await testValidator({ generation: 'v25' });
  await send(older.url, 'POST', '/nodes/', { body: { server_id: 's-1', nodes: two } });
  assert.is((await call('DELETE', '/servers/s-1', older.url)).status, 404);
  assert.is((await call('PATCH', '/servers/s-1?server_name=x', older.url)).status, 404);
  await older.close();
});

test.run();
