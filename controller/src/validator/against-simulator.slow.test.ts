// Client, feeds and socket against the simulated validator, which has its own tests against the recorded facts.

import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { minerKey, testValidator } from '@miner/simulator/validator/testing.ts';
import { bringUp, gpus, testNode } from '@miner/simulator/validator/testingnode.ts';
import type { SimulatedValidator } from '@miner/simulator/validator/validator.ts';
import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import type { ValidatorEvent } from '../domain/event.ts';
import { createSigner } from '../signing/sr25519.ts';
import { createValidatorClient } from './client.ts';
import { createFeeds } from './feeds.ts';
import { connectSocket } from './socket.ts';

const miner = createSigner(Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'));
const l40s = gpuTable.find(({ ref }) => ref === 'l40s') as GpuModel;

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`timed out: ${what}`);
}

const closers: (() => unknown)[] = [];
test.after.each(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(options: Parameters<typeof testValidator>[0] = {}) {
  const started = await testValidator(options);
  closers.push(() => started.validator.close());
  return started;
}

function connectTo(validator: SimulatedValidator) {
  const config = { hotkey: validator.hotkey, registry: 'r', api: validator.url, socket: validator.socketUrl };
  const common = { config, signer: miner, clock: systemClock, log: pino({ level: 'silent' }) };
  const events: ValidatorEvent[] = [];
  const socket = connectSocket({
    ...common,
    onEvent: (event) => {
      events.push(event);
    },
  });
  closers.push(() => socket.close());
  return {
    client: createValidatorClient(common),
    keeper: createFeeds(common),
    socket,
    events,
    heard: (type: ValidatorEvent['type']) => until(() => events.some((event) => event.type === type), `event ${type}`),
  };
}

assert.is(miner.address, minerKey.ss58);

for (const generation of ['v25', 'v26'] as const) {
  test(`${generation}: a server and an instance go through their whole life`, async () => {
    const { validator, clock } = await start({ generation });
    const { client, keeper, socket, events, heard } = connectTo(validator);
    await until(() => socket.connected(), 'authenticated');

    const supported = await client.supportedGpus();
    assert.ok(supported.has('l40s') && supported.size > 20);
    await keeper.refresh();
    const { chutes, utilization, rollingUpdates, globalInstances, instances } = keeper.feeds();
    assert.is(chutes.items.size, validator.chutes().length);
    for (const [name, { badItems }] of keeper.status()) assert.is(badItems, 0, name);
    assert.ok(utilization.items.size > 0 && rollingUpdates.fetchedAt !== undefined);
    assert.is(globalInstances.fetchedAt !== undefined, generation === 'v26');
    assert.equal([instances.items.size, instances.fetchedAt !== undefined], [0, true], 'explicitly empty');

    const node = await testNode((port) => gpus(l40s, 'NVIDIA L40S', 2, 'a', port));
    closers.push(() => node.close());
    const { taskId, seed } = await client.advertiseNodes({ serverId: 's1', name: 'gpu-0' }, node.devices);
    assert.ok(seed !== undefined && seed > 0n);
    await until(async () => (await client.verificationStatus(taskId)).status === 'verified', 'verified');
    await heard('gpu_verified');
    const proven = await client.provenGpus('s1');
    assert.equal(
      proven.map(({ deviceInfo, gpuShortRef }) => [deviceInfo.uuid, deviceInfo.memory, gpuShortRef]),
      node.devices.map(({ uuid, memory }) => [uuid, memory, 'l40s']),
    );
    assert.ok(proven.every((gpu) => gpu.seed === seed && gpu.verificationPort === node.devices[0]?.verification_port));
    assert.equal(await client.provenGpus('another'), []);

    const chute = validator
      .chutes()
      .find(
        (one) =>
          one.supportedGpus.includes('l40s') && one.gpuCount === 1 && one.isPublic && !one.jobOnly && !one.disabled,
      );
    assert.ok(chute);
    const { chuteId } = chute;
    validator.setOthers(chuteId, 1);
    validator.setTarget(chuteId, 3);
    assert.is((await client.chute(chuteId, chute.version))?.chuteId, chuteId);
    assert.is(await client.chute(chuteId, 'no-such-version'), undefined);
    const granted = await client.launchConfig(chuteId);
    assert.ok(granted.granted && granted.token.split('.').length === 3);
    const refused = await client.launchConfig('00000000-0000-4000-8000-000000000000');
    assert.not(refused.granted);
    assert.is('status' in refused ? refused.status : 0, 404);

    const instanceId = await bringUp(validator, chuteId, node.devices.slice(0, 1));
    for (const type of ['instance_created', 'instance_verified', 'instance_activated'] as const) await heard(type);
    await keeper.refresh();
    const mine = keeper.feeds().instances.items.get(instanceId);
    assert.equal([mine?.chuteId, mine?.active, mine?.verifiedAt !== undefined], [chuteId, true, true]);
    assert.is(keeper.feeds().nodes.items.size, 2);
    const servers = await client.servers();
    assert.equal(
      servers?.map(({ serverId, gpuIds }) => [serverId, gpuIds.length]),
      generation === 'v26' ? [['s1', 2]] : undefined,
    );
    const running = (await client.inventory()).filter((gpu) => gpu.chuteId === chuteId);
    assert.equal(
      running.map(({ gpuId, active }) => [gpuId, active]),
      [[node.devices[0]?.uuid, true]],
    );

    validator.setOutage('error');
    await keeper.refresh();
    assert.is(keeper.feeds().instances.items.size, 1);
    validator.setOutage('empty');
    await keeper.refresh();
    assert.is(keeper.feeds().instances.items.size, 1);
    validator.setOutage('none');

    // The miner may not remove younger ones.
    clock.advance(2 * 3_600_000);
    await client.deleteInstance(chuteId, instanceId);
    await heard('instance_deleted');
    await client.deleteInstance(chuteId, instanceId);
    await client.deleteJob('00000000-0000-4000-8000-000000000000');
    await keeper.refresh();
    const cooldown = keeper.feeds().cooldowns.items.get(chuteId);
    assert.is(cooldown !== undefined && cooldown > clock.now(), generation === 'v26');
    assert.is(keeper.feeds().instances.items.size, 0);
    await client.forgetServer(
      's1',
      node.devices.map(({ uuid }) => uuid),
    );
    await client.advertiseNodes({ serverId: 's1', name: 'gpu-0' }, node.devices);
    assert.ok(events.every((event) => event.validator === validator.hotkey));
    assert.equal(validator.stats().violations, []);
  });
}

test('a validator that restarts is found again', async () => {
  const { validator } = await start();
  const { socket } = connectTo(validator);
  await until(() => socket.connected(), 'authenticated');
  const port = Number(new URL(validator.url).port);
  await validator.close();
  await until(() => !socket.connected(), 'loss noticed');
  const { validator: again } = await start({ port });
  await until(() => socket.connected(), 'authenticated again');
  assert.is(again.connections(), 1);
});

test.run();
