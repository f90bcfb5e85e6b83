import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adviceOf } from '../domain/advice.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import type { World } from './world.ts';
import { type Situation, situationOf, worldFileText } from './worldfile.ts';
import { worldFile } from './worldshape.ts';

const chutes = [
  f.chute('low', { code: 'print("the source")' }),
  f.chute('high', { effectiveComputeMultiplier: 5, gpuCount: 2, supportedGpus: ['a6000', 'h100'] }),
];
const [low, high] = chutes as [(typeof chutes)[0], (typeof chutes)[0]];
const servers = [f.server('b', { seed: 77777n, ip: '198.51.100.7' }), f.server('c', { model: 'a6000', count: 4 })];
const tenant = f.spec(low, servers[0] ?? f.server('b'));
const utilization = [f.utilization(low, { targetCount: 4, activeInstanceCount: 2 }), f.utilization(high)];

const full: Partial<World> = {
  goneChutes: new Set([f.id('gone')]),
  jobs: new Map([
    [
      'j',
      {
        jobId: 'j',
        chuteId: low.chuteId,
        gpuCount: 1,
        computeMultiplier: 4,
        diskGb: 20,
        excluded: [],
        attempted: false,
      },
    ],
  ]),
  cooldowns: new Map([[low.chuteId, f.now + 1]]),
  market: new Map([[low.chuteId, { activeTotal: 5, modelKey: 'm', modelGb: 10 }]]),
  sites: new Map([['b', { netMbps: 1000, models: new Set(['m']), images: new Set([low.image]) }]]),
  firstMultipliers: new Map([[tenant.deploymentId, 2]]),
};

const situation: Situation = {
  now: f.now,
  policy: f.policy({ denyChutes: [f.id('denied')] }),
  world: f.world({ chutes, servers, running: [tenant], utilization }, full),
  memory: {
    refusals: new Map([[high.chuteId, { until: f.now - 1, failures: 1, because: '423' }]]),
    failures: new Map(),
    missing: new Map([['pod:x', { firstSeenAt: 1, snapshotAt: 2 }]]),
    advice: adviceOf(
      { offers: { [low.chuteId]: { score: { h100: 2 }, veto: ['c'] } }, deployments: { d: 'keep' } },
      's 1',
    ),
    attempted: new Set(['not part of a plan']),
  },
};

function planOf({ world, policy, now, memory }: Situation) {
  const planned = plan(world, policy, { now: () => now }, seededRandom(1), memory, memory.advice);
  return { ...planned, memory: undefined };
}

test('a world that was written and read is planned as the one it came from', () => {
  const read = situationOf(worldFile.parse(JSON.parse(worldFileText(situation))));
  const { deploys } = planOf(situation);
  assert.ok(deploys.length > 2);
  assert.equal(planOf(read), planOf(situation));
  assert.equal(JSON.parse(worldFileText(read)), JSON.parse(worldFileText(situation)));
});

test('a world file holds no seed, address, source or device', () => {
  const text = worldFileText(situation);
  for (const secret of ['77777', '198.51.100.7', 'the source', 'clock_rate', 'agentApi'])
    assert.not.match(text, secret);
});

test('an unknown field is refused: it would change nothing, and look as if it did', () => {
  const given = JSON.parse(worldFileText(situation));
  given.world.servers[0].price = 3;
  const { error } = worldFile.safeParse(given);
  assert.equal(error?.issues[0]?.path, ['world', 'servers', 0]);
});

test('the least that can be planned is short', () => {
  const least = {
    format: 1,
    now: 0,
    world: {
      hotkey: f.miner,
      chutes: {},
      feeds: {},
      servers: [],
      configuredServers: [],
      desired: {},
      lifecycles: {},
      pods: [],
      health: {},
      goneChutes: [],
      rollingInstances: [],
      undeployRequests: [],
    },
  };
  assert.equal(planOf(situationOf(worldFile.parse(least))).deploys, []);
});

test.run();
