import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { type Policy, policyConfig } from '../domain/policy.ts';
import { seededRandom } from '../domain/random.ts';
import type { Server } from '../domain/server.ts';
import * as f from './fixtures.ts';
import { plan, planOn } from './plan.ts';
import { rollOver } from './rolling.ts';
import { emptyMemory, type World } from './world.ts';

const x = f.chute('x', { effectiveComputeMultiplier: 3 });
const y = f.chute('y', { effectiveComputeMultiplier: 2 });
const z = f.chute('z', { effectiveComputeMultiplier: 1 });
const clock = { now: () => f.now };
/** Two GPUs each, at 1 and 2 USD per GPU and hour. */
const cheap = f.server('cheap', { count: 2, hourlyCost: 1 });
const dear = f.server('dear', { count: 2, hourlyCost: 2 });

type Change = Parameters<typeof policyConfig.parse>[0];

function policyOf(change: Change): Policy {
  return policyConfig.parse(change);
}

interface Given {
  chutes?: readonly (typeof x)[];
  servers?: readonly Server[];
  running?: readonly DeploymentSpec[];
  rows?: Parameters<typeof f.world>[0]['rows'];
  /** How many more the validator wants of each. */
  wanted?: number;
}

function worldOf({ chutes = [x, y, z], servers = [cheap, dear], running = [], rows, wanted = 1 }: Given): World {
  const utilization = chutes.map((one) => f.utilization(one, { targetCount: wanted, activeInstanceCount: 0 }));
  const market = new Map([x, y, z].map(({ chuteId }) => [chuteId, { activeTotal: 9 }]));
  return f.world({ chutes, servers, running, utilization, ...(rows && { rows }) }, { market });
}

function outcome(given: Given, change: Change) {
  const { deploys, preemptions, removals, blocked } = plan(
    worldOf(given),
    policyOf(change),
    clock,
    seededRandom(1),
    emptyMemory,
  );
  return {
    placed: deploys.map(({ spec }) => `${spec.chuteName}@${spec.server}`).sort(),
    swapped: preemptions.map(
      ({ deploy, victims }) => `${victims.map(({ spec }) => spec.chuteName)} > ${deploy.spec.chuteName}`,
    ),
    removed: removals.map(({ spec }) => spec.chuteName),
    blocked: blocked.map(({ sentence }) => sentence),
  };
}

const holdsBack = 'holds back';
const cases: { name: string; given?: Given; policy: Change; placed: string[]; blocked: string[] }[] = [
  { name: 'without rules everything is placed', policy: {}, placed: ['x@cheap', 'y@cheap', 'z@dear'], blocked: [] },
  {
    name: 'no new deployment beyond the cost ceiling, the best first',
    policy: { costCeiling: 2.5 },
    placed: ['x@cheap', 'y@cheap'],
    blocked: [`policy.costCeiling (2.5 USD per hour, 0.00 in use) ${holdsBack} 1: z`],
  },
  {
    name: 'a ceiling is reached to the cent',
    policy: { costCeiling: 4 },
    placed: ['x@cheap', 'y@cheap', 'z@dear'],
    blocked: [],
  },
  {
    name: 'what runs counts against the ceiling',
    given: { chutes: [x, y], running: [f.spec(z, dear)] },
    policy: { costCeiling: 3 },
    placed: ['x@cheap'],
    blocked: [`policy.costCeiling (3 USD per hour, 2.00 in use) ${holdsBack} 1: y`],
  },
  {
    name: 'only allowed chutes start',
    policy: { allowChutes: [y.chuteId] },
    placed: ['y@cheap'],
    blocked: [`policy.allowChutes ${holdsBack} 2: x, z`],
  },
  {
    name: 'a denied chute does not start',
    policy: { denyChutes: [x.chuteId] },
    placed: ['y@cheap', 'z@cheap'],
    blocked: [`policy.denyChutes ${holdsBack} 1: x`],
  },
  {
    name: 'a pinned chute starts only on its servers, though others are cheaper',
    policy: { chutes: { [x.chuteId]: { servers: ['dear'] } } },
    placed: ['x@dear', 'y@cheap', 'z@cheap'],
    blocked: [],
  },
  {
    name: 'a pinned chute waits for room on its servers',
    given: { chutes: [x], running: [f.spec(f.chute('w', { gpuCount: 2 }), dear)] },
    policy: { chutes: { [x.chuteId]: { servers: ['dear'] } } },
    placed: [],
    blocked: [`policy.chutes.servers ${holdsBack} 1: x`],
  },
  {
    name: 'a maximum counts what runs',
    given: { chutes: [x], running: [f.spec(x, dear)], wanted: 5 },
    policy: { chutes: { [x.chuteId]: { maximum: 2 } } },
    placed: ['x@dear'],
    blocked: [],
  },
  {
    name: 'at its maximum a chute gets nothing',
    given: { chutes: [x, y], running: [f.spec(x, dear)], wanted: 5 },
    policy: { chutes: { [x.chuteId]: { maximum: 1 } }, launchesPerPass: 1 },
    placed: ['y@dear'],
    blocked: [`policy.chutes.maximum ${holdsBack} 1: x`],
  },
  {
    name: 'a chute below its minimum comes before better ones',
    given: { servers: [f.server('one', { count: 1 })] },
    policy: { chutes: { [z.chuteId]: { minimum: 1 } } },
    placed: ['z@one'],
    blocked: [],
  },
  {
    name: 'a server takes only the chutes it allows',
    policy: { servers: { cheap: { allowChutes: [z.chuteId] } } },
    placed: ['x@dear', 'y@dear', 'z@cheap'],
    blocked: [],
  },
  {
    name: 'a server does not take what it denies',
    policy: { servers: { cheap: { denyChutes: [x.chuteId] } } },
    placed: ['x@dear', 'y@cheap', 'z@cheap'],
    blocked: [],
  },
  {
    name: 'a server takes no more deployments than its maximum',
    policy: { servers: { cheap: { maximum: 1 }, dear: { maximum: 1 } } },
    placed: ['x@cheap', 'y@dear'],
    blocked: [`policy.servers.maximum ${holdsBack} 1: z`],
  },
  {
    name: 'a reserve over all models stays free',
    policy: { reserve: { total: 3 } },
    placed: ['x@cheap'],
    blocked: [`policy.reserve.total (3 GPUs) ${holdsBack} 2: y, z`],
  },
  {
    name: 'a reserve of one model leaves the others alone',
    given: { servers: [f.server('a', { model: 'a6000', count: 2 }), f.server('h', { count: 2 })] },
    policy: { reserve: { models: { a6000: 2, h100: 1 } } },
    placed: ['x@h'],
    blocked: [`policy.reserve.models ${holdsBack} 2: y, z`],
  },
  {
    name: 'launches stop at the cap',
    policy: { limits: { launches: 2 } },
    placed: ['x@cheap', 'y@cheap'],
    blocked: [`policy.limits.launches (2 in 10 minutes, 0 before this plan) ${holdsBack} 1: z`],
  },
  {
    name: 'tokens taken within the window count, older ones do not',
    given: {
      chutes: [x, y],
      running: [f.spec(z, dear), f.spec(z, dear, 1)],
      rows: [
        f.row(f.spec(z, dear), { tokenAt: f.now - 9 * f.minute }),
        f.row(f.spec(z, dear, 1), { tokenAt: f.now - 10 * f.minute }),
      ],
    },
    policy: { limits: { launches: 2 } },
    placed: ['x@cheap'],
    blocked: [`policy.limits.launches (2 in 10 minutes, 1 before this plan) ${holdsBack} 1: y`],
  },
  {
    name: 'paused, nothing is placed and it is told what waits',
    policy: { mode: 'paused' },
    placed: [],
    blocked: [`policy.mode (paused) ${holdsBack} 3: x, y, z`],
  },
];

for (const { name, given = {}, policy, placed, blocked } of cases) {
  test(name, () => {
    const result = outcome(given, policy);
    assert.equal(result.placed, placed);
    assert.equal(result.blocked, blocked);
  });
}

const one = f.server('one', { count: 1, hourlyCost: 3 });
const old = f.spec(z, one);
const oldRow = f.row(old, { activatedAt: f.now - 300 * f.minute });
const rich = { ...x, effectiveComputeMultiplier: 60 };
const full: Given = { chutes: [rich, z], servers: [one], running: [old], rows: [oldRow], wanted: 2 };

test('a swap counts by its difference: at the ceiling it goes on as long as the sum does not grow', () => {
  assert.equal(outcome(full, { costCeiling: 1 }).swapped, ['z > x']);
  const two = f.server('two', { count: 2, hourlyCost: 3 });
  const grows = { ...full, chutes: [{ ...rich, gpuCount: 2 }, z], servers: [two], running: [f.spec(z, two)] };
  const rows = [f.row(f.spec(z, two), { activatedAt: f.now - 300 * f.minute })];
  assert.equal(outcome({ ...grows, rows }, { costCeiling: 6 }).swapped, ['z > x']);
  const refused = outcome({ ...grows, rows }, { costCeiling: 5 });
  assert.equal([refused.swapped, refused.placed], [[], []]);
  assert.match(refused.blocked[0] ?? '', /^policy\.costCeiling \(5 USD per hour, 3\.00 in use\) holds back 2/);
});

test('nothing is swapped out below its minimum', () => {
  const policy = { chutes: { [z.chuteId]: { minimum: 1 } } };
  assert.equal(outcome(full, policy).swapped, []);
  const second = f.spec(z, cheap);
  const rows = [oldRow, f.row(second, { activatedAt: f.now - 300 * f.minute })];
  const more = { ...full, servers: [one, { ...cheap, gpus: cheap.gpus.slice(0, 1) }], running: [old, second], rows };
  assert.is(outcome(more, policy).swapped.length, 1);
});

test('swaps stop at the cap on removals, also by those of the last minutes', () => {
  assert.equal(outcome(full, { limits: { removals: 0 } }).swapped, []);
  const earlier = f.row(f.spec(z, cheap), { removedAt: f.now - f.minute, goneAt: f.now, instanceGoneAt: f.now });
  const given = { ...full, rows: [oldRow, earlier] };
  assert.equal(outcome(given, { limits: { removals: 1 } }).swapped, []);
  assert.match(
    outcome(given, { limits: { removals: 1 } }).blocked[0] ?? '',
    /removals \(1 in 10 minutes, 1 before this plan\) holds back 1: x/,
  );
});

test('the swaps of one plan share the cap', () => {
  const pair = [one, f.server('other', { count: 1, hourlyCost: 3 })];
  const running = pair.map((server) => f.spec(z, server));
  const rows = running.map((spec) => f.row(spec, { activatedAt: f.now - 300 * f.minute }));
  const given = { ...full, servers: pair, running, rows };
  assert.is(outcome(given, {}).swapped.length, 2);
  assert.is(outcome(given, { limits: { removals: 1 } }).swapped.length, 1);
});

test('removals that somebody stated do not count against the cap', () => {
  const spec = f.spec(z, cheap);
  const at = f.now - f.minute;
  const stated = [
    f.row(spec, { removedAt: at, instanceGoneAt: at - 1000 }),
    f.row(spec, { removedAt: at, undeployAt: at - 1000 }),
    f.row({ ...spec, version: 'older' }, { removedAt: at }),
    f.row(spec, { removedAt: at, committedAt: undefined }),
  ];
  for (const row of stated) {
    const given = { ...full, rows: [oldRow, { ...row, goneAt: f.now, instanceGoneAt: row.instanceGoneAt ?? f.now }] };
    assert.equal(outcome(given, { limits: { removals: 1 } }).swapped, ['z > x']);
  }
});

test('failed pods are removed up to the cap; what the validator states is removed beyond it', () => {
  const specs = [0, 1].map((i) => f.spec(x, cheap, i));
  const failed = f.world({
    chutes: [],
    servers: [cheap],
    running: specs,
    pods: specs.map((one) => f.pod(one, { phase: 'Failed' })),
  });
  const run = (world: World, removals: number) =>
    plan(world, policyOf({ limits: { removals } }), clock, seededRandom(1), emptyMemory);
  assert.is(run(failed, 1).removals.length, 1);
  assert.equal(
    run(failed, 0).blocked.map(({ rule, count }) => [rule, count]),
    [['policy.limits.removals', 2]],
  );
  const stated = f.world({
    servers: [cheap],
    running: specs,
    rows: specs.map((one) => f.row(one, { instanceGoneAt: f.now })),
  });
  assert.is(run(stated, 0).removals.length, 2);
});

test('a rule that what runs does not fit any more moves and ends nothing', () => {
  const running = [f.spec(x, cheap), f.spec(x, cheap, 1)];
  const rules: Change[] = [
    { chutes: { [x.chuteId]: { servers: ['dear'] } } },
    { chutes: { [x.chuteId]: { maximum: 0 } } },
    { denyChutes: [x.chuteId] },
    { allowChutes: [y.chuteId] },
    { servers: { cheap: { denyChutes: [x.chuteId], maximum: 1 } } },
    { costCeiling: 0 },
    { reserve: { total: 4 } },
    { mode: 'paused' },
  ];
  for (const rule of rules) {
    const { removed, swapped, placed } = outcome({ chutes: [x], running }, rule);
    assert.equal([removed, swapped, placed.filter((one) => one === 'x@cheap')], [[], [], []]);
  }
});

const rental = {
  jobId: f.id('job'),
  chuteId: x.chuteId,
  gpuCount: 1,
  computeMultiplier: 9,
  diskGb: 10,
  excluded: [],
  attempted: false,
};

test('rentals obey the rules like every launch', () => {
  const base = worldOf({ chutes: [{ ...x, jobOnly: true }] });
  const world = { ...base, jobs: new Map([[rental.jobId, rental]]) };
  const run = (change: Change) =>
    plan(world, policyOf(change), clock, seededRandom(1), emptyMemory).deploys.map(({ spec }) => spec.server);
  assert.equal(run({}), ['cheap']);
  assert.equal(run({ chutes: { [x.chuteId]: { servers: ['dear'] } } }), ['dear']);
  for (const rule of [{ denyChutes: [x.chuteId] }, { costCeiling: 0.5 }, { chutes: { [x.chuteId]: { maximum: 0 } } }]) {
    assert.equal(run(rule), []);
  }
});

test('a rental and an instance of one chute share its maximum', () => {
  const world = { ...worldOf({ chutes: [x] }), jobs: new Map([[rental.jobId, rental]]) };
  const run = (maximum: number | null) =>
    plan(world, policyOf({ chutes: { [x.chuteId]: { maximum } } }), clock, seededRandom(1), emptyMemory).deploys.length;
  assert.equal([run(null), run(1)], [2, 1]);
});

/** The validator rolls x over; its old version runs on `cheap`. */
function rolled(change: Change): string[] {
  const v2 = { ...x, version: 'v2' };
  const before = f.spec(x, cheap);
  const world = f.world(
    { chutes: [v2], servers: [cheap, dear], running: [before], utilization: [f.utilization(v2, { scalable: false })] },
    { rollingInstances: new Set([f.row(before).instanceId ?? '']) },
  );
  const policy = policyOf(change);
  const { planned, allowance } = planOn(world, policy, clock, seededRandom(1), emptyMemory);
  const context = { world, policy, allowance, random: seededRandom(2), now: f.now, pairs: new Map() };
  const { deploys, swaps, removals } = rollOver(planned, context);
  return [
    ...deploys.map(({ spec }) => `beside on ${spec.server}`),
    ...swaps.map(({ deploy }) => `in place on ${deploy.spec.server}`),
    ...removals.map(() => 'removed'),
    ...allowance.blocked().map(({ rule }) => rule),
  ];
}

test('a rolling update obeys the rules, and where they let no successor start the old version stays', () => {
  const pin = (name: string) => ({ chutes: { [x.chuteId]: { servers: [name] } } });
  assert.equal(rolled({}), ['beside on cheap']);
  assert.equal(rolled(pin('dear')), ['beside on dear']);
  assert.equal(rolled({ chutes: { [x.chuteId]: { maximum: 1 } } }), ['in place on cheap']);
  assert.equal(rolled({ costCeiling: 1 }), ['in place on cheap']);
  assert.equal(rolled({ limits: { removals: 0 }, reserve: { total: 3 } }), ['in place on cheap']);
  assert.equal(rolled({ servers: { cheap: { denyChutes: [x.chuteId] }, dear: { maximum: 0 } } }), [
    'policy.servers.denyChutes',
  ]);
  assert.equal(rolled({ denyChutes: [x.chuteId] }), ['policy.denyChutes']);
  assert.equal(rolled({ limits: { launches: 0 } }), ['policy.limits.launches']);
});

test.run();
