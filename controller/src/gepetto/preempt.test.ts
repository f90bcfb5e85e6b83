import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../domain/chute.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { seededRandom } from '../domain/random.ts';
import type { Server } from '../domain/server.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import { type ChuteMarket, emptyMemory, type World } from './world.ts';

const one = f.server('b', { count: 1 });
const newcomer = f.chute('N', { effectiveComputeMultiplier: 4 });
const old = f.chute('old', { effectiveComputeMultiplier: 0.5 });

interface Scene {
  servers?: Server[];
  chutes?: Chute[];
  running?: DeploymentSpec[];
  /** Minutes since activation by deployment id, 120 unless given; null for one that is not active. */
  ages?: Record<string, number | null>;
  /** Active instances on the network by chute id, 5 unless given. */
  total?: Record<string, number>;
  change?: Partial<World>;
}

function planned({ servers = [one], chutes = [newcomer, old], running = [f.spec(old, one)], ...scene }: Scene) {
  const rows = running.map((spec) => {
    const age = scene.ages?.[spec.deploymentId];
    return f.row(spec, { activatedAt: age === null ? undefined : f.now - (age ?? 120) * f.minute });
  });
  const market = new Map<string, ChuteMarket>(
    chutes.map(({ chuteId }) => [chuteId, { activeTotal: scene.total?.[chuteId] ?? 5 }]),
  );
  // Nobody but the newcomer gets a place.
  const utilization = chutes.map((chute) => f.utilization(chute, { scalable: chute.name === 'N' }));
  const given = f.world({ servers, chutes, running, rows, utilization }, { market, ...scene.change });
  return plan(given, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory);
}

function swaps(scene: Scene): string[] {
  const { preemptions, deploys } = planned(scene);
  return [
    ...deploys.map(({ spec }) => `${spec.chuteName}@${spec.server}`),
    ...preemptions.map(({ deploy, victims }) => {
      const gone = victims.map(({ spec }) => spec.chuteName).sort();
      return `${deploy.spec.chuteName}@${deploy.spec.server} for ${gone.join(' and ')}`;
    }),
  ];
}

test('a swap says what the newcomer earns and what each victim would have, on both sides', () => {
  const [swap] = planned({}).preemptions;
  const [victim] = swap?.victims ?? [];
  const { gain = 0 } = swap?.deploy.numbers ?? {};
  const { worth = 0 } = victim?.numbers ?? {};
  assert.ok(gain > worth && worth > 0);
  assert.is(victim?.numbers?.gain, gain);
  const [displaced] = swap?.deploy.alternatives ?? [];
  assert.equal([displaced?.chuteName, displaced?.server], ['old', 'b']);
  assert.ok(
    displaced?.because.includes(
      `has ${worth.toFixed(2)} multiplier-hours left to earn; the newcomer ${gain.toFixed(2)}`,
    ),
  );
});

test('B1 a free GPU is taken before anybody is removed', () => {
  const two = f.server('b', { count: 2 });
  assert.equal(swaps({ servers: [two], running: [f.spec(old, two)] }), ['N@b']);
});

test('B4 a victim is paid only after an hour, so it stays until then', () => {
  const running = [f.spec(old, one)];
  const id = running[0]?.deploymentId ?? '';
  assert.equal(swaps({ running, ages: { [id]: 60 } }), []);
  assert.equal(swaps({ running, ages: { [id]: 63 } }), ['N@b for old']);
});

/** Two instances of `old` of which the validator wants one: one fills its server, the other has room beside it. */
function fewerWanted(ages: readonly [number, number]) {
  const [full, roomy] = [f.server('b'), f.server('c', { count: 4 })];
  const running = [f.spec(old, full), f.spec(old, roomy)];
  const rows = running.map((spec, i) => f.row(spec, { activatedAt: f.now - (ages[i] ?? 0) * f.minute }));
  const utilization = [f.utilization(old, { scalable: false, targetCount: 1, activeInstanceCount: 2 })];
  const world = f.world({ servers: [full, roomy], chutes: [old], running, rows, utilization });
  return plan(world, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory);
}

test('C1 an instance more than the validator wants stays: that ends by its word, which is paid, or by a swap', () => {
  const { removals, preemptions, deploys } = fewerWanted([70, 64]);
  assert.equal([removals, preemptions, deploys], [[], [], []]);
});

test('C2 no age makes an instance go that nobody needs the GPU of; a swap waits for its first hour', () => {
  for (const age of [62 + 59 / 60, 63, 600]) assert.equal(fewerWanted([age, age]).removals, []);
  const running = [f.spec(old, one)];
  const id = running[0]?.deploymentId ?? '';
  assert.equal(swaps({ running, ages: { [id]: 59 } }), []);
  assert.equal(swaps({ running, ages: { [id]: 63 } }), ['N@b for old']);
});

test('B5 W12 one that earns as much stays', () => {
  const equal = f.chute('old', { effectiveComputeMultiplier: 4 });
  const spec = f.spec(equal, one);
  const firstMultipliers = new Map([[spec.deploymentId, 4]]);
  assert.equal(swaps({ chutes: [newcomer, equal], running: [spec], change: { firstMultipliers } }), []);
});

test('B6 B11 the last instance on the network stays, and so does one of which nobody knows the number', () => {
  assert.equal(swaps({ total: { [old.chuteId]: 1 } }), []);
  assert.equal(swaps({ change: { market: new Map() } }), []);
});

test('B7 B8 two instances of one chute go only if a third is left', () => {
  const two = f.server('b', { count: 2 });
  const pair = f.chute('N', { gpuCount: 2, effectiveComputeMultiplier: 8 });
  const running = [f.spec(old, two, 0), f.spec(old, two, 1)];
  const scene = { servers: [two], chutes: [pair, old], running };
  assert.equal(swaps({ ...scene, total: { [old.chuteId]: 2 } }), []);
  assert.equal(swaps({ ...scene, total: { [old.chuteId]: 3 } }), ['N@b for old and old']);
});

test('B9 private ones, rentals, what is not active and the chute itself stay', () => {
  const spec = f.spec(old, one);
  const own = f.spec(newcomer, one);
  for (const scene of [
    { running: [{ ...spec, preemptible: false }] },
    { running: [{ ...spec, jobId: f.id('job') }] },
    { running: [spec], ages: { [spec.deploymentId]: null } },
    { running: [own], chutes: [newcomer] },
  ]) {
    assert.equal(swaps(scene), []);
  }
});

test('B12 W12 eight that earn more together are not given up for one', () => {
  const eight = f.server('b');
  const large = f.chute('N', { gpuCount: 8, effectiveComputeMultiplier: 1 });
  const small = f.chute('old', { effectiveComputeMultiplier: 0.9 });
  const running = Array.from({ length: 8 }, (_, i) => f.spec(small, eight, i));
  assert.equal(swaps({ servers: [eight], chutes: [large, small], running, total: { [small.chuteId]: 20 } }), []);
});

test('B13 no needless victim', () => {
  const five = f.server('b', { count: 5 });
  const four = f.chute('N', { gpuCount: 4, effectiveComputeMultiplier: 8 });
  const poor = f.chute('poor', { effectiveComputeMultiplier: 0.1 });
  const wide = f.chute('wide', { gpuCount: 4, effectiveComputeMultiplier: 0.5 });
  const running = [f.spec(poor, five, 0), f.spec(wide, five, 1)];
  assert.equal(swaps({ servers: [five], chutes: [four, poor, wide], running }), ['N@b for wide']);
});

test('B15 W12 the server with the least loss is chosen, not the cheapest', () => {
  const cheap = f.server('cheap', { count: 1, hourlyCost: 1 });
  const dear = f.server('dear', { count: 1, hourlyCost: 2 });
  const better = f.chute('better', { effectiveComputeMultiplier: 1.9 });
  const worse = f.chute('worse', { effectiveComputeMultiplier: 0.2 });
  const running = [f.spec(better, cheap), f.spec(worse, dear)];
  assert.equal(swaps({ servers: [cheap, dear], chutes: [newcomer, better, worse], running }), ['N@dear for worse']);
});

test('B17 W7 nobody is removed from a member that is not healthy', () => {
  const health = new Map([['b', { state: 'unhealthy' as const, since: 0, syncedAt: f.now }]]);
  assert.equal(swaps({ change: { health } }), []);
});

test('B19 what counts is what a victim will earn, not what it earns today', () => {
  const spec = f.spec(old, one);
  const firstMultipliers = new Map([[spec.deploymentId, 8]]);
  const scene = { running: [spec], change: { firstMultipliers } };
  assert.equal(swaps({ ...scene, ages: { [spec.deploymentId]: 90 } }), []);
  assert.equal(swaps({ ...scene, ages: { [spec.deploymentId]: 9 * 60 } }), ['N@b for old']);
});

test('S12 in a thrash cool-down neither urgency nor bounty is counted on', () => {
  const market = new Map<string, ChuteMarket>([
    [newcomer.chuteId, { runMultiplier: 1, urgency: 4, bountyOpenedAt: f.now, activeTotal: 5 }],
    [old.chuteId, { activeTotal: 5 }],
  ]);
  assert.equal(swaps({ change: { market } }), ['N@b for old']);
  assert.equal(swaps({ change: { market, cooldowns: new Map([[newcomer.chuteId, f.now + f.minute]]) } }), []);
});

test.run();
