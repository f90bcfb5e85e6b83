import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeArgs } from './nodeargs.ts';
import { runScenario } from './scenario.ts';
import { itemsOf, listen, type ManualClock, pause, send, testValidator } from './testing.ts';
import { addServer, claimAndProve, codes, gpus, launch, podCall, testNode } from './testingnode.ts';
import type { SimulatedValidator } from './validator.ts';

const fleet: [ref: string, name: string, count: number, prefix: string][] = [
  ['h100_sxm', 'NVIDIA H100 80GB HBM3', 8, 'a'],
  ['l40s', 'NVIDIA L40S', 8, 'b'],
  ['4090', 'NVIDIA GeForce RTX 4090', 4, 'c'],
];

async function addFleet(validator: SimulatedValidator): Promise<NodeArgs[]> {
  const devices: NodeArgs[] = [];
  for (const [ref, name, count, prefix] of fleet) {
    const model = gpuTable.find((row) => row.ref === ref) as GpuModel;
    const node = await testNode((port) => gpus(model, name, count, prefix, port));
    assert.is((await addServer(validator, ref, node.devices)).status, 'verified');
    node.close();
    devices.push(...node.devices);
  }
  return devices;
}

/** The simplest miner: fills whatever has room with the first free GPU that fits. */
async function fill(validator: SimulatedValidator, devices: readonly NodeArgs[]): Promise<void> {
  const inventory = (await send(validator.url, 'GET', '/miner/inventory', { tail: 'miner' })).json;
  const busy = new Set(
    inventory.filter((gpu: { chute_id: string }) => gpu.chute_id).map((gpu: { gpu_id: string }) => gpu.gpu_id),
  );
  for (const chute of validator.chutes().filter((item) => item.gpuCount === 1 && !item.jobOnly)) {
    for (let room = chute.targetCount - chute.activeTotal; room > 0; room--) {
      const device = devices.find(
        ({ uuid, gpu_identifier }) => !busy.has(uuid) && chute.supportedGpus.includes(gpu_identifier),
      );
      if (!device) return;
      const launched = await launch(validator, chute.chuteId).catch(() => undefined);
      if (!launched) break;
      busy.add(device.uuid);
      await claimAndProve(validator, launched, [device]);
      await podCall(validator, launched, 'GET', undefined, '/activate');
    }
  }
}

async function play(seed: number, minutes: number, each: (clock: ManualClock) => void = () => undefined) {
  const { validator, clock } = await testValidator();
  const devices = await addFleet(validator);
  const heard = await listen(validator);
  const stop = new AbortController();
  const fleetModels = fleet.map(([ref]) => ref);
  const random = seededRandom(seed);
  const running = runScenario(validator, { clock, random, signal: stop.signal, fleetModels });
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let minute = 0; minute < minutes; minute++) {
    await fill(validator, devices);
    const { activeInstances } = validator.stats();
    least = Math.min(least, activeInstances);
    most = Math.max(most, activeInstances);
    clock.advance(60_000);
    each(clock);
    await pause(60);
  }
  stop.abort();
  await running;
  await pause(50);
  const reasons = heard.messages.map(({ reason }) => reason);
  const bounties = heard.messages.filter(({ reason }) => reason === 'bounty_change').map(({ data }) => data.chute_id);
  const result = { least, most, reasons, bounties, codes: codes(validator), score: validator.stats().score };
  heard.socket.close();
  await validator.close();
  return result;
}

test('a mixed fleet of 20 GPUs always has at least 12 deployments, and room for a bounty', async () => {
  const { least, most, reasons, bounties, codes: broken, score } = await play(7, 40);
  assert.ok(least >= 12, `${least} at least`);
  assert.ok(most <= 20 && most > 14, `${most} at most`);
  const count = (reason: string) => reasons.filter((other) => other === reason).length;
  assert.ok(new Set(bounties).size >= 4, `${new Set(bounties).size} bounties`);
  assert.is(count('chute_updated'), 1);
  assert.ok(count('rolling_update') >= 1);
  assert.ok(count('instance_deleted') >= 3);
  assert.equal(broken, []);
  assert.ok(score > 0);
});

test('the same seed opens the same bounties', async () => {
  const [one, two] = [await play(3, 12), await play(3, 12)];
  assert.ok(one.bounties.length > 1);
  assert.equal([...new Set(one.bounties)], [...new Set(two.bounties)]);
});

test('a fleet that is at work already is left as it is', async () => {
  const { validator, clock } = await testValidator();
  const [chute] = validator
    .chutes()
    .filter(({ gpuCount, supportedGpus }) => gpuCount === 1 && supportedGpus.includes('l40s'));
  assert.ok(chute);
  validator.setTarget(chute.chuteId, 20);
  const stop = new AbortController();
  const before = validator.chutes();
  const running = runScenario(validator, {
    clock,
    random: seededRandom(1),
    signal: stop.signal,
    fleetModels: ['l40s'],
  });
  assert.equal(validator.chutes(), before);
  stop.abort();
  await running;
  assert.equal(itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' })), []);
  await validator.close();
});

test.run();
