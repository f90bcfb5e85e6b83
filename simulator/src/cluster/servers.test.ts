import { gpuTable, modelOfDevice } from '@miner/controller/domain/gputable.ts';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { devicesOf } from './devices.ts';
import { downloadSeconds, loadModelSizes, loadSeconds, pullSeconds, useModel } from './launch-times.ts';
import { addressOf, makeServers } from './servers.ts';

for (const model of gpuTable) {
  test(`a simulated ${model.ref} passes the checks of the validator's table`, () => {
    const [device] = devicesOf(model.ref, ['0'.repeat(32)]);
    assert.ok(device);
    assert.is(modelOfDevice(device.name)?.ref, model.ref, device.name);
    const gb = Math.floor(device.memory / 1e9);
    assert.ok(gb >= model.vramGb - 1 && gb <= model.vramGb * 1.024 ** 3 + 1, `${gb} GB`);
    assert.is(device.processors, model.processors);
    const mhz = device.clock_rate / 1000;
    assert.ok(mhz >= model.clockBase && mhz <= 1.1 * model.clockBoost, `${mhz} MHz`);
  });
}

test('the first three servers are a mixed fleet of twenty GPUs', () => {
  const fleet = makeServers(3, 1);
  assert.equal(
    fleet.map(({ gpuShortRef, gpuCount }) => `${gpuCount}x${gpuShortRef}`),
    ['8x4090', '8xh100_sxm', '4xa6000'],
  );
  assert.ok(fleet.every(({ hourlyCost }) => hourlyCost > 0.2 && hourlyCost < 3));
});

test('same seed, same servers; another seed, other GPUs; no id or address twice', () => {
  const fleet = makeServers(450, 1, '127.9.255');
  assert.equal(makeServers(450, 1, '127.9.255'), fleet);
  assert.is.not(makeServers(1, 2)[0]?.gpuIds[0], fleet[0]?.gpuIds[0]);
  const ids = fleet.flatMap(({ gpuIds }) => gpuIds);
  assert.is(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => /^[0-9a-f]{32}$/.test(id)));
  assert.is(new Set(fleet.map(({ ip }) => ip)).size, 450);
  assert.is(fleet[449]?.ip, '127.10.1.50');
  assert.ok(fleet.every(({ gpuIds, gpuCount }) => gpuIds.length === gpuCount));
});

test('addresses stay on loopback and never end in 0', () => {
  fc.assert(
    fc.property(fc.nat(5000), (index) => {
      const parts = addressOf('127.77.3', index).split('.').map(Number);
      return parts[0] === 127 && parts.every((part) => part >= 0 && part <= 255) && (parts[3] ?? 0) > 0;
    }),
  );
});

const [server] = makeServers(1, 1) as [ReturnType<typeof makeServers>[number]];
const fast = { ...server, netMbps: 10_000, diskReadGbps: 4, cacheGb: 100 };
const size = { imageGb: 10, modelGb: 40, modelKey: 'm', warmupSeconds: 12 };

test('a cold launch takes its download times, a warm one none', () => {
  const cold = { images: [], models: [] };
  assert.is(pullSeconds(fast, cold, 'i', size), 8);
  assert.is(downloadSeconds(fast, cold, size), 40);
  assert.is(loadSeconds(fast, size), 22);
  const warm = { images: ['i'], models: [{ key: 'm', gb: 40, lastUsed: 0 }] };
  assert.is(pullSeconds(fast, warm, 'i', size), 2);
  assert.is(downloadSeconds(fast, warm, size), 0);
});

test('the cache drops what was used longest ago, but nothing that a pod uses', () => {
  const models = [
    { key: 'a', gb: 40, lastUsed: 1 },
    { key: 'b', gb: 40, lastUsed: 2 },
  ];
  const keysAfter = (inUse: string[]) =>
    useModel({ images: [], models }, size, 3, 100, new Set(inUse)).models.map(({ key }) => key);
  assert.equal(keysAfter([]), ['b', 'm']);
  assert.equal(keysAfter(['a']), ['a', 'm']);
  assert.equal(keysAfter(['a', 'b']), ['a', 'b', 'm'], 'rather too full than broken');
});

test('the recorded chutes have sizes, others do not', () => {
  const sizes = loadModelSizes();
  assert.is(sizes('398651e1-5f85-5e50-a513-7c5324e8e839')?.modelGb, 690);
  assert.is(sizes('none'), undefined);
});

test.run();
