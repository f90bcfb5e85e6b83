import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../domain/chute.ts';
import { seededRandom } from '../domain/random.ts';
import type { Server } from '../domain/server.ts';
import * as f from './fixtures.ts';
import { type Plan, planOn } from './plan.ts';
import { rollOver } from './rolling.ts';
import { backOff, emptyMemory, type Memory, pairKey, type World } from './world.ts';

const x = f.chute('x');
const v2 = { ...x, version: 'v2' };
const full = f.server('b', { count: 1 });

interface Given {
  /** The chute as the feed has it now. */
  chute?: Chute;
  /** The first runs x at v1. */
  servers?: readonly Server[];
  policy?: Parameters<typeof f.policy>[0];
  memory?: Memory;
  pairs?: ReadonlyMap<string, string>;
  change?: (world: World) => World;
  /** What the plan makes besides. */
  planned?: (plan: Plan) => Plan;
}

/** In the order in which the pass takes them: deploys, swaps, removals. */
function outcome(given: Given): string[] {
  const { chute = v2, servers = [full], memory = emptyMemory, pairs = new Map(), change, planned } = given;
  const old = f.spec(x, servers[0] ?? full);
  const rollingInstances = new Set([f.row(old).instanceId ?? '']);
  // The planner itself has nothing to place: this is about the rolling update alone.
  const utilization = [f.utilization(chute, { scalable: false })];
  const base = f.world({ chutes: [chute], servers, running: [old], utilization }, { rollingInstances });
  const world = change ? change(base) : base;
  const policy = f.policy(given.policy);
  const { planned: made, allowance } = planOn(world, policy, { now: () => f.now }, seededRandom(1), memory);
  const context = { world, policy, allowance, random: seededRandom(2), now: f.now, pairs };
  const result = rollOver(planned ? planned(made) : made, context);
  return [
    ...result.deploys.map(({ spec }) => `+ ${spec.version}@${spec.server} :${spec.ports.map(({ port }) => port)}`),
    ...result.swaps.map(({ deploy, victims }) => `${victims.map(({ spec }) => spec.version)} > ${deploy.spec.version}`),
    ...result.removals.map(({ spec }) => `- ${spec.version}`),
  ];
}

const c = f.server('c', { count: 1 });
const oldId = f.spec(x, full).deploymentId;
const newcomer = f.spec(v2, c);

function withNewcomer(activatedAt: number | undefined) {
  return (world: World): World => ({
    ...world,
    desired: new Map(world.desired).set(newcomer.deploymentId, newcomer),
    lifecycles: new Map(world.lifecycles).set(newcomer.deploymentId, f.row(newcomer, { activatedAt })),
  });
}

const beside = ['+ v2@c :8000,8001'];
const paired = new Map([[oldId, newcomer.deploymentId]]);
const failedOnC = backOff(new Map(), pairKey(x.chuteId, 'c'), f.now, 'failed');

const cases: { name: string; given: Given; expected: string[] }[] = [
  { name: 'in place where nothing is free', given: {}, expected: ['v1 > v2'] },
  { name: 'beside where something is free', given: { servers: [full, c] }, expected: beside },
  {
    name: 'the cheapest free server first',
    given: { servers: [full, f.server('d', { count: 1, hourlyCost: 3 }), c] },
    expected: beside,
  },
  { name: 'not beside on a locked server', given: { servers: [full, { ...c, locked: true }] }, expected: ['v1 > v2'] },
  { name: 'in place on a locked server', given: { servers: [{ ...full, locked: true }] }, expected: ['v1 > v2'] },
  {
    name: 'not in place on a cordoned server',
    given: { servers: [{ ...full, locked: true, cordoned: 'the node has 7 GPUs' }, c] },
    expected: beside,
  },
  {
    name: 'the old version ends where a cordon leaves no place',
    given: { servers: [{ ...full, locked: true, cordoned: 'the node has 7 GPUs' }] },
    expected: ['- v1'],
  },
  {
    name: 'not beside where launches of the chute failed',
    given: { servers: [full, c], memory: { ...emptyMemory, failures: failedOnC } },
    expected: ['v1 > v2'],
  },
  {
    name: 'not beside on a server of another validator',
    given: { servers: [full, { ...c, validator: 'other' }] },
    expected: ['v1 > v2'],
  },
  { name: 'not beside without disk', given: { servers: [full, { ...c, diskGb: 25 }] }, expected: ['v1 > v2'] },
  {
    name: 'a waiting newcomer keeps the old one',
    given: { servers: [full, c], pairs: paired, change: withNewcomer(undefined) },
    expected: [],
  },
  {
    name: 'an active newcomer lets the old one go',
    given: { servers: [full, c], pairs: paired, change: withNewcomer(f.now) },
    expected: ['- v1'],
  },
  {
    name: 'a newcomer that failed is followed by another',
    given: { servers: [full, c], pairs: paired },
    expected: beside,
  },
  { name: 'nothing while paused', given: { policy: { mode: 'paused' } }, expected: [] },
  { name: 'nothing for a chute that is denied', given: { policy: { denyChutes: [x.chuteId] } }, expected: [] },
  {
    name: 'nothing while the chute waits after a refusal',
    given: { memory: { ...emptyMemory, refusals: backOff(new Map(), x.chuteId, f.now, '423') } },
    expected: [],
  },
  {
    name: 'nothing while the member is silent',
    given: { change: (w) => ({ ...w, health: new Map([['b', { state: 'unhealthy', since: 0, syncedAt: f.now }]]) }) },
    expected: [],
  },
  {
    name: 'nothing while the node is cordoned',
    given: {
      change: (w) => ({
        ...w,
        health: new Map([['b', { state: 'healthy', since: 0, syncedAt: f.now, closed: 'its node is cordoned' }]]),
      }),
    },
    expected: [],
  },
  {
    name: 'the old one goes when the new version takes other GPUs',
    given: { chute: { ...v2, supportedGpus: ['h200'] } },
    expected: ['- v1'],
  },
  {
    name: 'the old one goes when the new version takes more GPUs',
    given: { chute: { ...v2, gpuCount: 2 } },
    expected: ['- v1'],
  },
  {
    name: 'E7 the old one goes when the new version is TEE',
    given: { chute: { ...v2, tee: true } },
    expected: ['- v1'],
  },
  {
    name: 'a TEE chute gets its attestation port',
    given: { chute: { ...v2, tee: true }, servers: [full, { ...c, tee: true }] },
    expected: ['+ v2@c :8000,8001,8002'],
  },
];

for (const { name, given, expected } of cases) test(name, () => assert.equal(outcome(given), expected));

test('a deployment of the new version that the plan makes anyway is the newcomer', () => {
  const deploy = {
    kind: 'deploy' as const,
    decisionId: newcomer.decisionId,
    spec: newcomer,
    numbers: {},
    alternatives: [],
    replicasBefore: 0,
  };
  const planned = (made: Plan): Plan => ({ ...made, deploys: [deploy] });
  assert.equal(outcome({ servers: [full, c], planned }), beside);
});

test.run();
