import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../domain/chute.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import { backOff, emptyMemory, type Memory, type World } from './world.ts';

const clock = { now: () => f.now };

function planned(world: World, change: Parameters<typeof f.policy>[0] = {}, memory: Memory = emptyMemory) {
  return plan(world, f.policy(change), clock, seededRandom(1), memory);
}

function placements(world: World, change: Parameters<typeof f.policy>[0] = {}, memory?: Memory): string[] {
  return planned(world, change, memory).deploys.map(({ spec }) => `${spec.chuteName}@${spec.server}`);
}

const big = f.chute('big', { gpuCount: 8, effectiveComputeMultiplier: 8 });
const small = f.chute('small', { effectiveComputeMultiplier: 3, supportedGpus: ['a6000'] });

test('S1 value is the multiplier per GPU-dollar-hour', () => {
  const [decision] = planned(f.world({ chutes: [big], servers: [f.servers.B] })).deploys;
  assert.is(decision?.numbers.value, 0.5);
  assert.is(decision?.spec.gpuIds.length, 8);
});

test('S2 the better value goes first, and one pass places both (W31)', () => {
  const world = f.world({ chutes: [big, small], servers: [f.servers.A, f.servers.B] });
  assert.equal(placements(world), ['small@a', 'big@b']);
});

interface Row {
  name: string;
  chute?: Partial<Chute>;
  expected: string[];
}

const candidateRows: Row[] = [
  { name: 'S4 a multiplier of 0 is skipped', chute: { effectiveComputeMultiplier: 0 }, expected: [] },
  { name: 'S4 a negative multiplier is skipped', chute: { effectiveComputeMultiplier: -1 }, expected: [] },
  { name: 'S6 a job-only chute is skipped', chute: { jobOnly: true }, expected: [] },
  { name: 'a disabled chute is skipped', chute: { disabled: true }, expected: [] },
  { name: 'a library before 0.3.0 is skipped', chute: { chutesVersion: '0.2.9' }, expected: [] },
  { name: 'P4 a chute without TEE goes to a server without TEE', chute: {}, expected: ['x@b'] },
  { name: 'P3 a TEE chute finds no server without TEE', chute: { tee: true }, expected: [] },
  { name: 'P10 a chute of another validator finds no server', chute: { validator: 'other' }, expected: [] },
  { name: 'an unsupported GPU model is not used', chute: { supportedGpus: ['h200'] }, expected: [] },
];

for (const { name, chute, expected } of candidateRows) {
  test(name, () => {
    assert.equal(placements(f.world({ chutes: [f.chute('x', chute)], servers: [f.servers.B] })), expected);
  });
}

test('S5 a server that costs nothing counts with the minimum cost', () => {
  const free = f.server('free', { hourlyCost: 0 });
  const [decision] = planned(f.world({ chutes: [f.chute('x')], servers: [free] })).deploys;
  assert.is(decision?.numbers.value, 100);
});

test('S7 the utilization feed blocks, allows, and allows when it is silent', () => {
  const x = f.chute('x');
  const cases = [
    { utilization: [f.utilization(x, { scalable: false })], expected: [] },
    { utilization: [f.utilization(x, { updateInProgress: true })], expected: [] },
    { utilization: [f.utilization(x)], expected: ['x@b'] },
    { utilization: [], expected: ['x@b'] },
  ];
  for (const { utilization, expected } of cases) {
    assert.equal(placements(f.world({ chutes: [x], utilization })), expected);
  }
});

test('S9 a chute with a pending deployment is skipped and the next best placed', () => {
  const best = f.chute('best', { effectiveComputeMultiplier: 5 });
  const next = f.chute('next');
  const running = [f.spec(best, f.servers.B)];
  const pending = f.row(f.spec(best, f.servers.B), { activatedAt: undefined });
  assert.equal(placements(f.world({ chutes: [best, next], running, rows: [pending] })), ['next@b']);
});

test('W31 with a known target the whole gap is filled in one pass', () => {
  const x = f.chute('x');
  const utilization = [f.utilization(x, { targetCount: 5, activeInstanceCount: 2 })];
  assert.is(placements(f.world({ chutes: [x], utilization })).length, 3);
});

test('W31 an instance that became active after the count was fetched is not forgotten', () => {
  const x = f.chute('x');
  const running = [f.spec(x, f.servers.B)];
  const utilization = [f.utilization(x, { targetCount: 2, activeInstanceCount: 1 })];
  for (const [activatedAt, expected] of [
    [f.now - 1, 1],
    [f.now + 1, 0],
  ] as const) {
    const rows = running.map((spec) => f.row(spec, { activatedAt }));
    assert.is(placements(f.world({ chutes: [x], running, rows, utilization })).length, expected);
  }
});

test('S10 a refused chute waits, and others are placed meanwhile', () => {
  const best = f.chute('best', { effectiveComputeMultiplier: 5 });
  const next = f.chute('next');
  const memory = { ...emptyMemory, refusals: backOff(new Map(), best.chuteId, f.now, '423') };
  assert.equal(placements(f.world({ chutes: [best, next] }), {}, memory), ['next@b']);
});

test('S11 equal values are ordered by chute id, whatever the order of the feed', () => {
  const twins = ['p', 'q', 'r', 's'].map((name) => f.chute(name));
  const expected = [...twins].sort((a, b) => (a.chuteId < b.chuteId ? -1 : 1)).map((chute) => `${chute.name}@b`);
  assert.equal(placements(f.world({ chutes: twins })), expected);
  assert.equal(placements(f.world({ chutes: [...twins].reverse() })), expected);
});

test('S13 a denied chute is never placed', () => {
  const x = f.chute('x');
  assert.equal(placements(f.world({ chutes: [x] }), { denyChutes: [x.chuteId] }), []);
});

test('P1 among equal costs the tightest fit wins', () => {
  const two = f.chute('two', { gpuCount: 2 });
  const b2 = f.server('b2');
  const filler = f.chute('filler', { gpuCount: 5, supportedGpus: ['none'] });
  const running = [f.spec(filler, f.servers.B)];
  assert.equal(placements(f.world({ chutes: [two, filler], servers: [f.servers.B, b2], running })), ['two@b']);
});

test('P2 the cheaper server wins', () => {
  assert.equal(placements(f.world({ chutes: [f.chute('x')], servers: [f.servers.C, f.servers.B] })), ['x@b']);
});

test('P3 a locked server is left alone', () => {
  assert.equal(placements(f.world({ chutes: [f.chute('x')], servers: [f.servers.D] })), []);
});

test('P6 an unverified GPU is not free', () => {
  const server = { ...f.servers.A, gpus: f.servers.A.gpus.map((gpu, i) => ({ ...gpu, verified: i > 0 })) };
  const four = f.chute('four', { gpuCount: 4, supportedGpus: ['a6000'] });
  assert.equal(placements(f.world({ chutes: [four], servers: [server] })), []);
});

test('P7 a deployment is not split over servers', () => {
  const filler = f.chute('filler', { gpuCount: 4, supportedGpus: ['none'] });
  const running = [f.spec(filler, f.servers.B), f.spec(filler, f.servers.C)];
  assert.equal(placements(f.world({ chutes: [big, filler], servers: [f.servers.B, f.servers.C], running })), []);
});

test('P8 P9 disk: capacity less 20 GB less what deployments hold must leave 10', () => {
  const x = f.chute('x');
  const filler = f.chute('filler', { supportedGpus: ['none'] });
  for (const [diskGb, expected] of [
    [105, ['x@b']],
    [104.9, []],
  ] as const) {
    const server = f.server('b', { diskGb });
    const running = [f.spec(filler, server, 0, { diskGb: 75 })];
    assert.equal(placements(f.world({ chutes: [x, filler], servers: [server], running })), expected);
  }
});

test('P11 a member that is not healthy takes nothing', () => {
  const world = f.world({ chutes: [f.chute('x')] });
  for (const state of ['unhealthy', 'unknown'] as const) {
    const health = new Map([['b', { state, since: 0, syncedAt: undefined }]]);
    assert.equal(placements({ ...world, health }), []);
  }
  assert.equal(placements({ ...world, health: new Map() }), []);
});

test('a server whose node is cordoned or not ready takes nothing, and takes up again after that', () => {
  const world = f.world({ chutes: [f.chute('x')] });
  const seen = { state: 'healthy', since: 0, syncedAt: f.now } as const;
  assert.equal(placements({ ...world, health: new Map([['b', { ...seen, closed: 'its node is cordoned' }]]) }), []);
  assert.equal(placements({ ...world, health: new Map([['b', seen]]) }), ['x@b']);
});

test('P12 a server on which launches of the chute failed is avoided for a while', () => {
  const x = f.chute('x');
  const memory = { ...emptyMemory, failures: backOff(new Map(), `${x.chuteId}@b`, f.now, 'pod failed') };
  const world = f.world({ chutes: [x], servers: [f.servers.B, f.servers.C] });
  assert.equal(placements(world, {}, memory), ['x@c']);
});

test('P13 W1 a GPU whose old pod still drains is not given out', () => {
  const server = f.server('b', { count: 1 });
  const old = f.spec(f.chute('old'), server);
  const world = f.world({ chutes: [f.chute('x')], servers: [server] });
  const removed = f.row(old, { removedAt: f.now - f.minute });
  const draining = {
    ...world,
    pods: [f.pod(old, { terminating: true })],
    lifecycles: new Map([[old.deploymentId, removed]]),
  };
  assert.equal(placements(draining), [], 'pod still there');
  assert.equal(placements({ ...world, pods: [f.pod(old)] }), [], 'pod known to nobody');
  const gone = { ...removed, goneAt: f.now - 1 };
  assert.equal(placements({ ...world, lifecycles: new Map([[old.deploymentId, gone]]) }), ['x@b'], 'pod gone');
});

test('a server that main does not name yet takes nothing: the GPU verification still holds its GPUs', () => {
  assert.equal(placements(f.world({ chutes: [f.chute('x')] }, { configuredServers: new Set() })), []);
});

test('a paused policy places nothing', () => {
  assert.equal(placements(f.world({ chutes: [f.chute('x')] }), { mode: 'paused' }), []);
});

test('the launch budget of a pass is kept', () => {
  const many = Array.from({ length: 8 }, (_, i) => f.chute(`x${i}`));
  assert.is(placements(f.world({ chutes: many }), { launchesPerPass: 3 }).length, 3);
});

test('a decision names what it beat, and by how much', () => {
  const [first] = planned(f.world({ chutes: [f.chute('x', { effectiveComputeMultiplier: 2 }), f.chute('y')] })).deploys;
  const [other, ...more] = first?.alternatives ?? [];
  assert.equal([other?.chuteName, other?.server, other?.value, more.length], ['y', 'b', 0.5, 0]);
  const [, theirs, ours] =
    /^([\d.]+) instead of ([\d.]+) multiplier-hours for each GPU$/.exec(other?.because ?? '') ?? [];
  assert.is(ours, first?.numbers.net?.toFixed(2));
  assert.ok(Number(theirs) < Number(ours));
});

test('an open bounty is the reason', () => {
  assert.is(planned(f.world({ chutes: [f.chute('x', { bounty: 100 })] })).deploys[0]?.spec.reason, 'bounty');
});

test.run();
