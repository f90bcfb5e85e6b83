// gepetto.md 9.1, 9.2, 9.4 and 9.7, as far as place.test.ts does not hold them: what is placed where, counted and left alone.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseChute } from '../../domain/chute.ts';
import { seededRandom } from '../../domain/random.ts';
import * as f from '../fixtures.ts';
import { type Plan, plan } from '../plan.ts';
import { backOff, emptyMemory, type Memory, type World } from '../world.ts';
import { createModel } from './model.ts';

function planned(world: World, memory: Memory = emptyMemory): Plan {
  return plan(world, f.policy(), { now: () => f.now }, seededRandom(1), memory);
}

function placed(world: World): string[] {
  return planned(world).deploys.map(({ spec }) => `${spec.chuteName} ${spec.version}@${spec.server}`);
}

const x = f.chute('x');

test('S8 what the validator lists is what is deployed: there is no version of our own to lag behind', () => {
  assert.equal(placed(f.world({ chutes: [{ ...x, version: 'v2' }] })), ['x v2@b']);
});

test('S12 a chute in its thrash cool-down counts without urgency and bounty', () => {
  const urgent = f.chute('urgent', { effectiveComputeMultiplier: 3 });
  const plain = f.chute('plain', { effectiveComputeMultiplier: 2 });
  const world = f.world({ chutes: [urgent, plain], servers: [f.server('b', { count: 1 })] });
  const market = new Map([[urgent.chuteId, { runMultiplier: 3, urgency: 3 }]]);
  assert.equal(placed({ ...world, market }), ['urgent v1@b']);
  const hour = 60 * f.minute;
  assert.equal(placed({ ...world, market, cooldowns: new Map([[urgent.chuteId, f.now - 1]]) }), ['urgent v1@b']);
  const short = new Map([[urgent.chuteId, { runMultiplier: 1.2, urgency: 3 }]]);
  assert.equal(placed({ ...world, market: short, cooldowns: new Map([[urgent.chuteId, f.now + hour]]) }), [
    'plain v1@b',
  ]);
});

test('P5 a chute that does not say whether it is TEE is not', () => {
  const item = {
    chute_id: x.chuteId,
    version: 'v1',
    image: 'user/x:1',
    ref_str: 'app:chute',
    node_selector: { gpu_count: 1 },
    supported_gpus: ['h100'],
    chutes_version: '0.6.0',
    cords: [{}],
    tee: null,
  };
  assert.equal(placed(f.world({ chutes: [{ ...parseChute(item, f.validator), name: 'x' }] })), ['x v1@b']);
});

test('W10 the server that was scored is the server that is used, whatever the seed', () => {
  const world = f.world({ chutes: [x], servers: [f.servers.C, f.servers.B] });
  for (let seed = 0; seed < 20; seed++) {
    const [decision] = plan(world, f.policy(), { now: () => f.now }, seededRandom(seed), emptyMemory).deploys;
    assert.equal([decision?.spec.server, decision?.numbers.hourlyCost], ['b', 2]);
  }
});

test('W11 each failure doubles the wait, from a minute to an hour', () => {
  let known: Memory['failures'] = new Map();
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    known = backOff(known, 'k', 0, 'failed');
    waits.push((known.get('k')?.until ?? 0) / f.minute);
  }
  assert.equal(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
});

test('W14 R22 the first start fills by value, not in the order of the feed', async () => {
  const chutes = Array.from({ length: 300 }, (_, i) =>
    f.chute(`chute ${i}`, { effectiveComputeMultiplier: 1 + i / 100 }),
  );
  const model = createModel({ servers: [f.servers.B, f.servers.C], chutes });
  await model.pass();
  const names = [...model.live().values()].map(({ chuteName }) => Number(chuteName.slice(6)));
  assert.is(names.length, 16);
  assert.ok(Math.min(...names) >= 284, 'the sixteen best');
});

test('W17 P10 a chute of another validator finds no server here', () => {
  assert.equal(placed(f.world({ chutes: [{ ...x, validator: 'other' }] })), []);
});

test('W23 B2 one or more launches on their way answer no, they are no error', () => {
  const running = [f.spec(x, f.servers.B), f.spec(x, f.servers.B, 1)];
  for (const count of [1, 2]) {
    const some = running.slice(0, count);
    const rows = some.map((spec) => f.row(spec, { activatedAt: undefined }));
    assert.equal(placed(f.world({ chutes: [x], running: some, rows })), []);
  }
});

test('W25 W26 W27 W28 every list is gone through once or twice a plan, however many chutes and servers there are', () => {
  function walksOf(size: number): number {
    let walks = 0;
    class Counted<K, V> extends Map<K, V> {
      override values() {
        walks += 1;
        return super.values();
      }
      override [Symbol.iterator]() {
        walks += 1;
        return super[Symbol.iterator]();
      }
    }
    const chutes = Array.from({ length: size }, (_, i) => f.chute(`c${i}`, { gpuCount: 2 }));
    const servers = Array.from({ length: size }, (_, i) => f.server(`s${i}`));
    const running = servers.map((server, i) => f.spec(chutes[i] ?? x, server));
    const world = f.world({ chutes, servers, running });
    const feeds = world.feeds.get(f.validator);
    assert.ok(feeds);
    const listed = { instanceId: f.id('i'), chuteId: f.id('c'), computeMultiplier: 1 };
    const globalInstances = { fetchedAt: f.now, items: new Counted([['i', listed]]) };
    const instances = { fetchedAt: f.now, items: new Counted(feeds.instances.items) };
    planned({
      ...world,
      feeds: new Map([[f.validator, { ...feeds, globalInstances, instances }]]),
      lifecycles: new Counted(world.lifecycles),
    });
    return walks;
  }
  assert.is(walksOf(40), walksOf(4));
});

test('W29 a plan is one synchronous step: nothing in it waits', () => {
  const result: unknown = planned(f.world({ chutes: [x] }));
  assert.not(result instanceof Promise);
});

test('W21 a plan changes nothing of the world it looks at', () => {
  const spec = f.spec(x, f.servers.B);
  const world = f.world({ chutes: [x, f.chute('y')], running: [spec], rows: [f.row(spec, { instanceGoneAt: f.now })] });
  const before = structuredClone(world);
  planned(world);
  assert.equal(structuredClone(world), before);
});

test('C5 more replicas than wanted are left alone: an intent is one more, never fewer', () => {
  const running = [0, 1, 2].map((from) => f.spec(x, f.servers.B, from));
  const utilization = [f.utilization(x, { targetCount: 1, activeInstanceCount: 3 })];
  const result = planned(f.world({ chutes: [x], running, utilization }));
  assert.equal([result.deploys, result.removals, result.preemptions], [[], [], []]);
});

test('C3 private replicas, jobs and those on locked servers are never scaled down', () => {
  const locked = { ...f.servers.B, locked: true };
  const running = [
    f.spec(x, locked, 0, { preemptible: false }),
    f.spec(x, locked, 1, { jobId: f.id('job') }),
    f.spec(x, locked, 2),
  ];
  const utilization = [f.utilization(x, { targetCount: 0, activeInstanceCount: 3 })];
  const result = planned(f.world({ chutes: [x], servers: [locked], running, utilization }));
  assert.equal([result.removals, result.preemptions], [[], []]);
});

test('K1 with all GPUs unverified nothing is asked for', async () => {
  const gpus = f.servers.B.gpus.map((gpu) => ({ ...gpu, verified: false }));
  const model = createModel({ servers: [{ ...f.servers.B, gpus }], chutes: [x] });
  await model.pass();
  assert.equal(model.log, []);
});

test('K2 K3 W3 a pod that never appears is given up, and its GPUs are free again only after that', async () => {
  const model = createModel({ servers: [f.server('b', { count: 1 })], chutes: [x] });
  await model.pass();
  for (let i = 0; i < 2; i++) {
    model.wait(3 * f.minute);
    await model.pass();
  }
  assert.equal(model.log, ['token x v1', '+ x v1', '- x v1']);
  assert.is([...model.rows.values()].filter((row) => row.goneAt === undefined).length, 1, 'held for another minute');
  model.wait(3 * f.minute);
  await model.pass();
  assert.is([...model.rows.values()][0]?.goneAt, model.now());
});

test('K4 K5 C4 a removal does not wait for a silent member, but its GPUs do', async () => {
  const model = createModel({ servers: [f.server('b', { count: 1 })], chutes: [x] });
  await model.pass();
  model.settle();
  model.silent.set('b', model.now());
  for (const row of model.rows.values()) row.instanceGoneAt = model.now();
  for (let i = 0; i < 3; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.equal(model.log, ['token x v1', '+ x v1', '- x v1']);
  model.silent.clear();
  model.settle();
  for (let i = 0; i < 2; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.equal(model.log.slice(3), ['token x v1', '+ x v1']);
});

test.run();
