import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../domain/chute.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import { whyNot } from './whynot.ts';
import { backOff, emptyMemory, type Memory, pairKey, type World } from './world.ts';

const one = f.server('b', { count: 1 });
const x = f.chute('x');
const old = f.chute('old');

interface Scene {
  chute?: Chute;
  change?: Partial<World>;
  memory?: Memory;
  policy?: Parameters<typeof f.policy>[0];
  utilization?: Parameters<typeof f.utilization>[1];
}

function reasons({ chute = x, change, memory = emptyMemory, policy: rules, utilization }: Scene = {}): string {
  const known = utilization ? { utilization: [f.utilization(chute, utilization)] } : {};
  const world = f.world({ chutes: [chute, old], servers: [one], ...known }, change);
  const policy = f.policy(rules);
  const planned = plan(world, policy, { now: () => f.now }, seededRandom(1), memory);
  return whyNot(chute, { world, policy, memory: planned.memory, planned, now: f.now }).join('; ');
}

const full = f.spec(old, one);
const running: Partial<World> = {
  desired: new Map([[full.deploymentId, full]]),
  lifecycles: new Map([[full.deploymentId, f.row(full)]]),
  pods: [f.pod(full)],
};

const cases: [what: string, scene: Scene, said: RegExp][] = [
  ['nothing', { chute: { ...x, effectiveComputeMultiplier: 9 } }, /^nothing stands against it: .* on b now$/],
  ['no GPU of its kind', { chute: { ...x, supportedGpus: ['b200'] } }, /^no server has a GPU that it runs on: b200$/],
  ['TEE', { chute: { ...x, tee: true } }, /^1 server has its GPUs, but none is a TEE server/],
  ['rentals only', { chute: { ...x, jobOnly: true } }, /rentals only/],
  ['the validator', { utilization: { scalable: false } }, /scalable is false/],
  ['enough of them', { utilization: { targetCount: 3, activeInstanceCount: 3 } }, /wants no more instances/],
  [
    'a refusal',
    { memory: { ...emptyMemory, refusals: backOff(new Map(), x.chuteId, f.now, '423: full') } },
    /\(423: full\); tried again after 20\d\d-/,
  ],
  [
    'a failure',
    { memory: { ...emptyMemory, failures: backOff(new Map(), pairKey(x.chuteId, 'b'), f.now, 'Failed') } },
    /^on b a launch failed \(Failed\)/,
  ],
  ['a person', { policy: { denyChutes: [x.chuteId] } }, /^policy\.denyChutes holds it back$/],
  ['a pause', { policy: { mode: 'paused' } }, /^policy\.mode is paused$/],
  ['a lock', { change: { servers: [{ ...one, locked: true }] } }, /all are locked, cordoned, not healthy/],
  ['no room', { change: running }, /^it needs 1 free GPUs on one server, and 0 are free/],
];

for (const [what, scene, said] of cases) {
  test(`what stands against a chute is told: ${what}`, () => assert.match(reasons(scene), said));
}

test.run();
