// What the owner's strategy says, as the planner follows it.

import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Advice, type Answer, adviceOf, noAdvice } from '../domain/advice.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import { questionOf } from './question.ts';
import { emptyMemory, type World } from './world.ts';

const low = f.chute('low', { effectiveComputeMultiplier: 1 });
const high = f.chute('high', { effectiveComputeMultiplier: 3 });
const b = f.server('b', { count: 1 });
const c = f.server('c', { count: 1, hourlyCost: 3 });

function advise(offers: Answer['offers'], deployments: Answer['deployments'] = {}): Advice {
  return adviceOf({ offers, deployments }, 'strategy/strategy.ts 1234');
}

function planned(world: World, advice?: Advice) {
  return plan(world, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory, advice);
}

function placesOf(world: World, advice?: Advice): string[] {
  return planned(world, advice).deploys.map(({ spec }) => `${spec.chuteName}@${spec.server}`);
}

test('without hooks, and with hooks that say nothing, the plan is the same', () => {
  const world = f.world({ servers: [f.server('b', { count: 2 }), c], chutes: [low, high] });
  const { deploys } = planned(world);
  const silent = planned(world, noAdvice('strategy/strategy.ts 1234'));
  const ones = planned(world, advise({ [low.chuteId]: { score: { h100: 1 }, place: { b: 1, c: 1 } } }));
  assert.is(deploys.length, 2);
  for (const one of [silent, ones]) {
    assert.equal(
      one.deploys.map((deploy) => ({ ...deploy, strategy: 'default' })),
      deploys,
    );
  }
});

test('each decision names the strategy that made it, and the weight that it gave', () => {
  const world = f.world({ servers: [b], chutes: [low] });
  assert.is(planned(world).deploys[0]?.strategy, 'default');
  const [decision] = planned(world, advise({ [low.chuteId]: { score: { h100: 2 }, place: { b: 1.5 } } })).deploys;
  assert.is(decision?.strategy, 'strategy/strategy.ts 1234');
  assert.is(decision?.numbers.weight, 3);
});

test('score: a factor turns the order of two chutes', () => {
  const world = f.world({ servers: [b], chutes: [low, high] });
  assert.equal(placesOf(world), ['high@b']);
  assert.equal(placesOf(world, advise({ [low.chuteId]: { score: { h100: 9 } } })), ['low@b']);
  assert.equal(placesOf(world, advise({ [high.chuteId]: { score: { h100: 0.1 } } })), ['low@b']);
});

test('S3 score: a strategy that ranks by raw multiplier turns the order round', () => {
  const small = f.chute('small', { effectiveComputeMultiplier: 2 });
  const large = f.chute('large', { effectiveComputeMultiplier: 3, gpuCount: 2 });
  const world = f.world({ servers: [f.server('b', { count: 2 })], chutes: [small, large] });
  assert.is(placesOf(world)[0], 'small@b');
  assert.equal(placesOf(world, advise({ [large.chuteId]: { score: { h100: 2 } } })), ['large@b']);
});

test('place: a factor chooses the server, also among servers that look alike', () => {
  const twins = ['b', 'c', 'd'].map((name) => f.server(name));
  const world = f.world({ servers: twins, chutes: [low] });
  assert.equal(placesOf(world), ['low@b']);
  assert.equal(placesOf(world, advise({ [low.chuteId]: { place: { d: 1.01 } } })), ['low@d']);
});

test('veto: a chute does not start on such a server, and nowhere when all are vetoed', () => {
  const world = f.world({ servers: [b, c], chutes: [low] });
  assert.equal(placesOf(world), ['low@b']);
  assert.equal(placesOf(world, advise({ [low.chuteId]: { veto: ['b'] } })), ['low@c']);
  assert.equal(placesOf(world, advise({ [low.chuteId]: { veto: ['b', 'c'], closed: ['h100'] } })), []);
});

const tenant = f.spec(low, b);
const row = f.row(tenant, { activatedAt: f.now - 120 * f.minute });
const crowded = f.world(
  {
    servers: [b],
    chutes: [low, high],
    running: [tenant],
    rows: [row],
    utilization: [f.utilization(low, { scalable: false }), f.utilization(high)],
  },
  { market: new Map([[low.chuteId, { activeTotal: 5 }]]) },
);

test('victims: kept for nothing in the world, or worth more, or worth less', () => {
  const swaps = (told?: number | 'keep') =>
    planned(crowded, advise({}, told === undefined ? {} : { [tenant.deploymentId]: told })).preemptions.length;
  assert.is(swaps(), 1);
  assert.is(swaps('keep'), 0);
  assert.is(swaps(50), 0);
  assert.is(swaps(0), 1);
});

test('victims: no word of a strategy makes a victim of one that the network protects', () => {
  const cheap = advise({ [high.chuteId]: { score: { h100: 1000 } } }, { [tenant.deploymentId]: 0 });
  const young = new Map([[tenant.deploymentId, { ...row, activatedAt: f.now - 50 * f.minute }]]);
  const last = new Map([[low.chuteId, { activeTotal: 1 }]]);
  const isPrivate = new Map([[tenant.deploymentId, { ...tenant, preemptible: false }]]);
  assert.is(planned(crowded, cheap).preemptions.length, 1);
  for (const change of [{ lifecycles: young }, { market: last }, { desired: isPrivate }]) {
    assert.is(planned({ ...crowded, ...change }, cheap).preemptions.length, 0);
  }
});

test('a chute that score weighs up is worth as much when it runs, so that nothing is swapped back', () => {
  assert.is(planned(crowded, advise({ [low.chuteId]: { score: { h100: 50 } } })).preemptions.length, 0);
});

test('any advice: no GPU twice, nothing on a vetoed server, the same plan again', () => {
  const models = ['h100', 'a6000'];
  const chutes = ['p', 'q', 'r'].map((name, i) =>
    f.chute(name, { gpuCount: i + 1, supportedGpus: models, effectiveComputeMultiplier: i + 1 }),
  );
  const fleet = [f.server('x', { count: 4 }), f.server('y', { count: 3 }), f.server('z', { model: 'a6000', count: 5 })];
  const world = f.world({ servers: fleet, chutes });
  const factor = fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1000, noNaN: true }));
  const offer = fc.record({
    score: fc.dictionary(fc.constantFrom(...models), factor),
    place: fc.dictionary(fc.constantFrom('x', 'y', 'z'), factor),
    veto: fc.subarray(['x', 'y', 'z']),
  });
  fc.assert(
    fc.property(fc.tuple(offer, offer, offer), (offers) => {
      const advice = advise(Object.fromEntries(chutes.map(({ chuteId }, i) => [chuteId, offers[i] ?? {}])));
      const { deploys } = planned(world, advice);
      const gpus = deploys.flatMap(({ spec }) => spec.gpuIds);
      assert.is(new Set(gpus).size, gpus.length);
      for (const { spec } of deploys) assert.not(advice.offers.get(spec.chuteId)?.veto.has(spec.server));
      assert.equal(planned(world, advice).deploys, deploys);
    }),
  );
});

test('a question has what could start with the servers that suit, and those who might be removed', () => {
  const locked = f.server('locked', { locked: true });
  const asked = questionOf({ ...crowded, servers: [b, locked] }, f.now);
  assert.equal(
    asked.servers.map(({ name, gpu, gpus, freeGpus }) => [name, gpu, gpus, freeGpus]),
    [['b', 'h100', 1, 0]],
  );
  assert.equal(
    asked.offers.map(({ key, sites }) => [key, sites]),
    [low, high].map(({ chuteId }) => [chuteId, [{ gpu: 'h100', servers: [0] }]]),
  );
  assert.equal(
    asked.deployments.map(({ chute, deployment }) => [chute.own, deployment.id, deployment.age]),
    [[1, tenant.deploymentId, 2]],
  );
  assert.equal(JSON.parse(JSON.stringify(asked)), asked);
});

test.run();
