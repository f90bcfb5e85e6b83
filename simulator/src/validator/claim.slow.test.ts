import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { answerClaim, readClaimReply } from '../refc1-pod.ts';
import type { NodeArgs } from './nodeargs.ts';
import { itemsOf, listen, minerKey, pause, send, sizes } from './testing.ts';
import { bringUp, claimAndProve, claimBody, codes, launch, podCall, readyValidator } from './testingnode.ts';

const { validator, clock, devices, chute, fits } = await readyValidator();
test.after(() => validator.close());
const [gpu0, gpu1, gpu2] = devices as [NodeArgs, NodeArgs, NodeArgs];
const two = fits.find(({ gpuCount, isPublic }) => gpuCount === 2 && isPublic);

function clearInstances(): void {
  validator.setOutage('none');
  for (const { chuteId } of validator.chutes()) validator.setOthers(chuteId, 3);
  validator.setTarget(chute.chuteId, 10);
}
test.before.each(clearInstances);

async function remove(instanceId: string): Promise<void> {
  await send(validator.url, 'DELETE', `/instances/${chute.chuteId}/${instanceId}`, { tail: 'instances' });
}

test('a launch token has exactly the claims of the protocol', async () => {
  const { token, config_id } = await launch(validator, chute.chuteId);
  const claims = decodeJwt(token);
  assert.equal(decodeProtectedHeader(token).alg, 'HS256');
  assert.equal(Object.keys(claims).sort(), ['env_key', 'exp', 'iat', 'iss', 'sub', 'url']);
  assert.equal([claims.iss, claims.sub], ['chutes', config_id]);
  assert.is(claims.url, `${validator.url}/instances/launch_config/${config_id}`);
  assert.is(Number(claims.exp) - Number(claims.iat), 7200);
  assert.is(claims.iat, Math.floor(clock.now() / 1000));
  assert.match(String(claims.env_key), /^[0-9a-f]{32}$/);
});

test('a pod claims, proves and activates; the miner hears each step', async () => {
  const { messages, next, socket } = await listen(validator);
  const launched = await launch(validator, chute.chuteId);
  const proved = await claimAndProve(validator, launched, [gpu0]);
  assert.is(proved.status, 200);
  const { instance_id } = proved.json;
  assert.is(proved.json.activation_url, `${validator.url}/instances/launch_config/${launched.config_id}/activate`);
  assert.equal((await podCall(validator, launched, 'GET', undefined, '/activate')).json, { ok: true });
  assert.equal((await podCall(validator, launched, 'GET', undefined, '/activate')).json, { ok: true });
  const created = await next('instance_created');
  assert.equal(
    [created.config_id, created.instance_id, created.miner_hotkey, created.gpu_count],
    [launched.config_id, instance_id, minerKey.ss58, 1],
  );
  assert.equal(await next('instance_verified'), { instance_id, miner_hotkey: minerKey.ss58 });
  assert.is((await next('instance_activated')).config_id, launched.config_id);
  assert.is(messages.length, 3);
  const items = itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
  assert.equal(
    items.map((item) => [item.instance_id, item.active, item.config_id]),
    [[instance_id, true, launched.config_id]],
  );
  assert.not('host' in (items[0] ?? {}));
  const all = (await send(validator.url, 'GET', '/miner/active_instances/', { tail: 'miner' })).json;
  assert.is(all.filter((item: { instance_id: string }) => item.instance_id === instance_id).length, 1);
  const inventory = (await send(validator.url, 'GET', '/miner/inventory', { tail: 'miner' })).json;
  assert.is(inventory.filter((item: { active: boolean }) => item.active).length, 1);
  const { claims, activations, activeInstances, violations } = validator.stats();
  assert.equal([claims, activations, activeInstances, violations], [1, 1, 1, []]);
  validator.terminateInstance(instance_id, 'test');
  assert.is((await next('instance_deleted')).instance_id, instance_id);
  socket.close();
});

test('a token is good for one claim; a second claim of a living instance is a violation', async () => {
  const launched = await launch(validator, chute.chuteId);
  const body = claimBody([gpu0]);
  assert.is((await podCall(validator, launched, 'POST', body)).status, 200);
  assert.is((await podCall(validator, launched, 'POST', body)).status, 401);
  assert.is(codes(validator).at(-1), 'token-reuse');
  const [item = {}] = itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
  await remove(String(item.instance_id));
});

test('tokens that are forged, swapped, late or absent are refused', async () => {
  const [one, other] = [await launch(validator, chute.chuteId), await launch(validator, chute.chuteId)];
  const claims = decodeJwt(one.token);
  const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.alloc(32));
  const status = async (token: string, config_id: string) =>
    (await podCall(validator, { token, config_id }, 'POST', claimBody([gpu0]))).status;
  assert.is(await status(forged, one.config_id), 401);
  assert.is(await status(one.token, other.config_id), 401);
  assert.is(await status('', one.config_id), 401);
  assert.is(await status(`Bearer ${one.token}`, one.config_id), 401);
  clock.advance(7_201_000);
  assert.is(await status(one.token, one.config_id), 401);
});

const ports =
  (change: object, index = 0) =>
  (body: Record<string, unknown>) => ({
    ...body,
    port_mappings: (body.port_mappings as object[]).map((port, i) => (i === index ? { ...port, ...change } : port)),
  });
const refusals: [name: string, change: (body: Record<string, unknown>) => object, status: number, code?: string][] = [
  ['a second GPU', (body) => ({ ...body, gpus: [gpu0, gpu1].map(({ uuid }) => ({ uuid })) }), 400, 'gpu-count'],
  ['no GPU', (body) => ({ ...body, gpus: [] }), 422],
  ['a GPU nobody knows', (body) => ({ ...body, gpus: [{ uuid: '0'.repeat(32) }] }), 403, 'gpu-not-verified'],
  ['another host', (body) => ({ ...body, host: '127.0.0.9' }), 400, 'claim-host'],
  ['a host that is none', (body) => ({ ...body, host: 'localhost' }), 400, 'claim-host'],
  ['no logging port', ports({ internal_port: 9999 }, 1), 400, 'claim-ports'],
  ['one node port for two ports', ports({ external_port: 30999 }, 0), 200],
  ['a port that is none', ports({ external_port: 70_000 }), 422],
];
for (const [name, change, status, code] of refusals) {
  test(`a claim with ${name} is answered with ${status}`, async () => {
    const before = codes(validator).length;
    const launched = await launch(validator, chute.chuteId);
    const reply = await podCall(validator, launched, 'POST', change(claimBody([gpu0])));
    assert.is(reply.status, status, reply.text);
    assert.equal(codes(validator).slice(before), code ? [code] : []);
    for (const item of itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }))) {
      await remove(String(item.instance_id));
    }
  });
}

test('a claim that failed has used its token up', async () => {
  const launched = await launch(validator, chute.chuteId);
  await podCall(validator, launched, 'POST', { ...claimBody([gpu0]), host: '127.0.0.9' });
  assert.is((await podCall(validator, launched, 'POST', claimBody([gpu0]))).status, 401);
  assert.is(codes(validator).at(-1), 'claim-host');
});

test('a GPU or a node port of a living instance cannot be claimed again', async () => {
  const instanceId = await bringUp(validator, chute.chuteId, [gpu0]);
  const first = await podCall(validator, await launch(validator, chute.chuteId), 'POST', claimBody([gpu0]));
  assert.is(first.status, 409);
  assert.is(codes(validator).at(-1), 'gpu-in-two-instances');
  const launched = await launch(validator, chute.chuteId);
  const body = claimBody([gpu1]);
  assert.is((await podCall(validator, launched, 'POST', body)).status, 200);
  const again = { ...claimBody([gpu2]), port_mappings: body.port_mappings };
  assert.is((await podCall(validator, await launch(validator, chute.chuteId), 'POST', again)).status, 400);
  assert.is(codes(validator).at(-1), 'claim-ports');
  validator.terminateInstance(instanceId, 'test');
  clock.advance(4 * 3_600_000);
  await pause(130);
});

test('a chute that needs two GPUs is claimed with two', async () => {
  assert.ok(two);
  validator.setTarget(two.chuteId, 4);
  const instanceId = await bringUp(validator, two.chuteId, [gpu1, gpu2]);
  validator.terminateInstance(instanceId, 'test');
});

const proofs: [name: string, spoil: (answer: ReturnType<typeof answerClaim>) => object][] = [
  ['a wrong response', (answer) => ({ ...answer, response: Buffer.alloc(16).toString('base64') })],
  ['a response under another IV', (answer) => ({ ...answer, iv: '0'.repeat(32) })],
  ['no proof of its GPU', (answer) => ({ ...answer, proof: {} })],
  [
    'a forged hash',
    ({ proof, ...answer }) => {
      const work_product = { intermediate_hashes: ['0'.repeat(64)], num_matrices: 1, total_iterations: 1 };
      return { ...answer, proof: Object.fromEntries(Object.keys(proof).map((uuid) => [uuid, { work_product }])) };
    },
  ],
];
for (const [name, spoil] of proofs) {
  test(`${name} ends the instance`, async () => {
    const { next, socket } = await listen(validator);
    const launched = await launch(validator, chute.chuteId);
    const reply = await podCall(validator, launched, 'POST', claimBody([gpu0]));
    const answer = answerClaim(readClaimReply(reply.text), [gpu0], launched.config_id, sizes);
    assert.is((await podCall(validator, launched, 'PUT', spoil(answer))).status, 403);
    assert.is((await next('instance_deleted')).config_id, launched.config_id);
    assert.is((await podCall(validator, launched, 'PUT', answer)).status, 404);
    socket.close();
  });
}

test('a pod that proved cannot prove again, and one that did not cannot activate', async () => {
  const launched = await launch(validator, chute.chuteId);
  const reply = await podCall(validator, launched, 'POST', claimBody([gpu0]));
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 403);
  const answer = answerClaim(readClaimReply(reply.text), [gpu0], launched.config_id, sizes);
  const proved = await podCall(validator, launched, 'PUT', answer);
  assert.is(proved.status, 200);
  assert.is((await podCall(validator, launched, 'PUT', answer)).status, 409);
  validator.setTarget(chute.chuteId, 3);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 423);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 404);
});

test('activation waits out an outage, and ends with the token', async () => {
  const [launched, late] = [await launch(validator, chute.chuteId), await launch(validator, chute.chuteId)];
  assert.is((await claimAndProve(validator, launched, [gpu0])).status, 200);
  assert.is((await claimAndProve(validator, late, [gpu1])).status, 200);
  validator.setOutage('error');
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 503);
  validator.setOutage('none');
  clock.advance(7_199_000);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 200);
  clock.advance(2_000);
  assert.is((await podCall(validator, late, 'GET', undefined, '/activate')).status, 401);
});

const waits: [seconds: number, status: number][] = [
  [128, 200],
  [131, 403],
];
for (const [seconds, status] of waits) {
  test(`a proof after ${seconds} s, with 60 s expected, is answered with ${status}`, async () => {
    const strict = await readyValidator({ graval: { sizes, infoRounds: 1, timing: true } });
    const launched = await launch(strict.validator, strict.chute.chuteId);
    const reply = await podCall(strict.validator, launched, 'POST', claimBody([gpu0]));
    strict.clock.advance(seconds * 1000);
    const answer = answerClaim(readClaimReply(reply.text), strict.devices.slice(0, 1), launched.config_id, sizes);
    assert.is((await podCall(strict.validator, launched, 'PUT', answer)).status, status);
    await strict.validator.close();
  });
}

test.run();
