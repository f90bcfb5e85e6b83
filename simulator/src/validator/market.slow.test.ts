import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeArgs } from './nodeargs.ts';
import { itemsOf, listen, minerKey, otherMinerKey, pause, send } from './testing.ts';
import { bringUp, claimAndProve, codes, launch, podCall, readyValidator } from './testingnode.ts';

const hour = 3_600_000;
type Ready = Awaited<ReturnType<typeof readyValidator>>;

function scenario(name: string, run: (ready: Ready & { gpu: NodeArgs[] }) => Promise<void>, options = {}): void {
  test(name, async () => {
    const ready = await readyValidator(options);
    try {
      await run({ ...ready, gpu: ready.devices });
    } finally {
      await ready.validator.close();
    }
  });
}

async function ask({ validator }: Ready, chuteId: string, key = minerKey, query = ''): Promise<number> {
  const path = `/instances/launch_config?chute_id=${chuteId}${query}`;
  return (await send(validator.url, 'GET', path, { tail: 'launch', key })).status;
}

async function remove({ validator }: Ready, chuteId: string, instanceId: string, key = minerKey): Promise<number> {
  const path = `/instances/${chuteId}/${instanceId}`;
  return (await send(validator.url, 'DELETE', path, { tail: 'instances', key })).status;
}

async function feedChute({ validator }: Ready, chuteId: string) {
  const items = itemsOf(await send(validator.url, 'GET', '/miner/chutes/', { tail: 'miner' }));
  return items.find((item) => item.chute_id === chuteId) ?? {};
}

/** Let the validator look at its clock. */
const tick = () => pause(130);

scenario('a token is refused at the target, when disabled, for the unknown, and in an outage', async (ready) => {
  const { validator, chute, fits } = ready;
  assert.is(await ask(ready, chute.chuteId), 200);
  validator.setTarget(chute.chuteId, 3);
  assert.is(await ask(ready, chute.chuteId), 423);
  validator.setTarget(chute.chuteId, 4);
  validator.setDisabled(chute.chuteId, true);
  assert.is(await ask(ready, chute.chuteId), 423);
  validator.setDisabled(chute.chuteId, false);
  validator.setOutage('error');
  assert.is(await ask(ready, chute.chuteId), 503);
  validator.setOutage('empty');
  assert.is(await ask(ready, chute.chuteId), 200);
  assert.is(await ask(ready, '00000000-0000-4000-8000-000000000000'), 404);
  assert.is(await ask(ready, ''), 422);
  const jobOnly = validator.chutes().find((item) => item.jobOnly);
  assert.ok(fits.length > 0 && jobOnly);
  assert.is(await ask(ready, jobOnly.chuteId), 400);
});

scenario('utilization says which chutes have room', async (ready) => {
  const { validator, chute } = ready;
  const item = async () =>
    (await send(validator.url, 'GET', '/chutes/utilization')).json.find(
      ({ chute_id }: { chute_id: string }) => chute_id === chute.chuteId,
    );
  const { scalable, target_count, active_instance_count } = await item();
  assert.equal([scalable, target_count, active_instance_count], [true, 10, 3]);
  validator.setTarget(chute.chuteId, 3);
  assert.is((await item()).scalable, false);
});

scenario('a private chute gives a token only for its bounty, and none to an unstable miner', async (ready) => {
  const { validator, clock, fits, chute, gpu } = ready;
  const secret = fits.find(({ isPublic, jobOnly, gpuCount }) => !isPublic && !jobOnly && gpuCount === 1);
  assert.ok(secret);
  validator.setTarget(secret.chuteId, 2);
  assert.is(await ask(ready, secret.chuteId), 423);
  assert.ok(validator.openBounty(secret.chuteId));
  assert.is(await ask(ready, secret.chuteId), 200);
  for (let i = 0; i < 10; i++) {
    assert.is(await remove(ready, chute.chuteId, await bringUp(validator, chute.chuteId, gpu.slice(0, 1))), 200);
    clock.advance(60_000);
  }
  assert.is(await ask(ready, secret.chuteId), 403);
  assert.is(await ask(ready, secret.chuteId, otherMinerKey), 200);
});

scenario('a bounty is announced, grows, multiplies the offer, and goes to the first activation', async (ready) => {
  const { validator, clock, chute, gpu } = ready;
  const { messages, next, socket } = await listen(validator);
  const before = Number((await feedChute(ready, chute.chuteId)).effective_compute_multiplier);
  assert.ok(validator.openBounty(chute.chuteId));
  assert.is((await next('bounty_change')).bounty, 100);
  assert.not(validator.openBounty(chute.chuteId), 'one bounty at a time');
  clock.advance(1.5 * hour);
  await tick();
  assert.is(messages.at(-1)?.data.bounty, 16_300);
  const item = await feedChute(ready, chute.chuteId);
  assert.is(item.bounty, 16_300);
  assert.is(Number(item.effective_compute_multiplier), before * 2);
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  assert.is((await feedChute(ready, chute.chuteId)).bounty, null);
  const instances = itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
  assert.is(instances[0]?.compute_multiplier, before * 2);
  assert.not(validator.openBounty(chute.chuteId), 'claimed a moment ago');
  clock.advance(600_000);
  assert.ok(validator.openBounty(chute.chuteId));
  validator.closeBounty(chute.chuteId);
  assert.is((await feedChute(ready, chute.chuteId)).bounty, null);
  socket.close();
});

scenario('a bounty needs room and an enabled chute', async ({ validator, chute, another }) => {
  assert.not(validator.openBounty(another.chuteId));
  validator.setDisabled(chute.chuteId, true);
  assert.not(validator.openBounty(chute.chuteId));
  assert.throws(() => validator.openBounty('nothing'), /no chute/);
});

const removals: [name: string, prepare: (ready: Ready) => void, hours: number, code: string | undefined][] = [
  ['young', () => undefined, 0.9, 'young-removed'],
  ['an hour old', () => undefined, 1, undefined],
  ['the last one', ({ validator, chute }) => validator.setOthers(chute.chuteId, 0), 1, 'last-instance-removed'],
  ['out of reach', ({ validator }) => validator.nodeLost('127.0.0.1'), 0, undefined],
  ['of an old version', ({ validator, chute }) => void validator.updateChute(chute.chuteId), 0, undefined],
];
for (const [name, prepare, hours, code] of removals) {
  scenario(`removing an instance that is ${name} counts as ${code ?? 'no violation'}`, async (ready) => {
    const { validator, clock, chute, gpu } = ready;
    const instanceId = await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
    clock.advance(hours * hour);
    prepare(ready);
    assert.is(await remove(ready, chute.chuteId, instanceId, otherMinerKey), 404);
    assert.is(await remove(ready, chute.chuteId, instanceId), 200);
    assert.is(await remove(ready, chute.chuteId, instanceId), 404);
    assert.equal(codes(validator), code ? [code] : []);
  });
}

scenario(
  "a private instance is never the miner's to remove, and one that never became active always is",
  async (ready) => {
    const { validator, clock, chute, fits, gpu } = ready;
    const secret = fits.find(({ isPublic, jobOnly, gpuCount }) => !isPublic && !jobOnly && gpuCount === 1);
    assert.ok(secret);
    validator.setTarget(secret.chuteId, 2);
    validator.openBounty(secret.chuteId);
    const instanceId = await bringUp(validator, secret.chuteId, gpu.slice(0, 1));
    clock.advance(5 * hour);
    await remove(ready, secret.chuteId, instanceId);
    assert.equal(codes(validator), ['private-removed']);
    assert.is(validator.stats().score, 0);
    const proved = await claimAndProve(validator, await launch(validator, chute.chuteId), gpu.slice(0, 1));
    await remove(ready, chute.chuteId, proved.json.instance_id);
    assert.equal(codes(validator), ['private-removed']);
  },
);

scenario('removing an active instance starts a cool-down in which boosts do not count', async (ready) => {
  const { validator, clock, chute, gpu } = ready;
  validator.setUrgency(chute.chuteId, 1);
  const run = Number((await feedChute(ready, chute.chuteId)).effective_compute_multiplier);
  const instanceId = await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  clock.advance(hour);
  await remove(ready, chute.chuteId, instanceId);
  const cooling = (await send(validator.url, 'GET', '/miner/thrash_cooldowns', { tail: 'miner' })).json;
  assert.equal(cooling[0].chute_id, chute.chuteId);
  assert.is(Date.parse(cooling[0].cooldown_expires_at) - Date.parse(cooling[0].deleted_at), 2 * hour);
  validator.setUrgency(chute.chuteId, 3);
  assert.ok(validator.openBounty(chute.chuteId));
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  const [item = {}] = itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
  assert.is(item.compute_multiplier, run);
  assert.not((await feedChute(ready, chute.chuteId)).bounty, 'used up all the same');
  clock.advance(2 * hour);
  assert.equal((await send(validator.url, 'GET', '/miner/thrash_cooldowns', { tail: 'miner' })).json, []);
});

scenario('the score is the time alive times the multiplier, also across a change of urgency', async (ready) => {
  const { validator, clock, chute, gpu } = ready;
  validator.setUrgency(chute.chuteId, 2);
  const cm = Number((await feedChute(ready, chute.chuteId)).effective_compute_multiplier);
  const instanceId = await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  const near = (expected: number) => assert.ok(Math.abs(validator.stats().score - expected) < 1e-9, `${expected}`);
  clock.advance(8 * hour);
  near(cm * 8);
  validator.setUrgency(chute.chuteId, 1);
  clock.advance(2 * hour);
  near(cm * 8 + cm);
  validator.terminateInstance(instanceId, 'test');
  clock.advance(hour);
  near(cm * 8 + cm);
});

scenario('lowering a target ends own instances in proportion, oldest first', async (ready) => {
  const { validator, clock, chute, gpu } = ready;
  validator.setOthers(chute.chuteId, 2);
  const ids: string[] = [];
  for (const device of gpu.slice(0, 2)) {
    ids.push(await bringUp(validator, chute.chuteId, [device]));
    clock.advance(1000);
  }
  const { next, socket } = await listen(validator);
  validator.setTarget(chute.chuteId, 2);
  assert.is((await next('instance_deleted')).instance_id, ids[0]);
  const view = validator.chutes().find(({ chuteId }) => chuteId === chute.chuteId);
  assert.equal([view?.ownActive, view?.activeTotal], [1, 2]);
  assert.equal(codes(validator), []);
  socket.close();
});

scenario('instances that are out of reach or never come up are deleted after a time', async (ready) => {
  const { validator, clock, chute, gpu } = ready;
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  const kept = await bringUp(validator, chute.chuteId, gpu.slice(1, 2));
  validator.nodeLost('127.0.0.1');
  clock.advance(299_000);
  validator.nodeFound('127.0.0.1');
  clock.advance(hour);
  await tick();
  assert.is(validator.stats().activeInstances, 2);
  validator.instanceLost(kept);
  clock.advance(300_000);
  await tick();
  assert.is(validator.stats().activeInstances, 1);
  await claimAndProve(validator, await launch(validator, chute.chuteId), gpu.slice(2, 3));
  clock.advance(3 * hour);
  await tick();
  assert.is(itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' })).length, 1);
});

scenario('a GPU that its miner takes away takes its instance along', async ({ validator, chute, gpu }) => {
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  await send(validator.url, 'DELETE', `/nodes/${gpu[0]?.uuid}`, { tail: 'nodes' });
  assert.is(validator.stats().activeInstances, 0);
  const launched = await launch(validator, chute.chuteId);
  assert.is((await claimAndProve(validator, launched, gpu.slice(0, 1))).status, 403);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 404);
});

test.run();
