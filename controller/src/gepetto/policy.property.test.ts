// What no plan may do, whatever the policy, the fleet and what happened before.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RemoveDecision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { type Policy, policyConfig } from '../domain/policy.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { planOn } from './plan.ts';
import { type RollOver, rollOver } from './rolling.ts';
import { roomOf } from './room.ts';
import { emptyMemory, type World } from './world.ts';

const models = ['h100', 'a6000'];
const chuteCount = 6;
const serverCount = 4;
const ids = Array.from({ length: chuteCount }, (_, i) => f.id(`chute ${i}`));
const names = Array.from({ length: serverCount }, (_, i) => `s${i}`);
const small = fc.nat({ max: 4 });
const someIds = fc.subarray(ids, { minLength: 1 });

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;

/** Few rules at a time, so that each of them decides something. */
const some = { requiredKeys: [] };

const policies = fc
  .record(
    {
      costCeiling: fc.nat({ max: 60 }),
      allowChutes: someIds,
      denyChutes: fc.subarray(ids, { maxLength: 2 }),
      reserve: fc.record({ total: small, models: fc.dictionary(fc.constantFrom(...models), small) }, some),
      limits: fc.record({ launches: fc.nat({ max: 12 }), removals: small }, some),
      chutes: fc.dictionary(
        fc.constantFrom(...ids),
        fc.record({ servers: fc.subarray(names, { minLength: 1 }), minimum: small, maximum: small }, some),
      ),
      servers: fc.dictionary(
        fc.constantFrom(...names),
        fc.record({ allowChutes: someIds, denyChutes: fc.subarray(ids, { maxLength: 2 }), maximum: small }, some),
      ),
    },
    some,
  )
  .map((change) => policyConfig.safeParse(change).data)
  .filter((policy) => policy !== undefined);

const fleets = fc.record({
  gpuCounts: fc.array(fc.constantFrom(1, 1, 2, 4), { minLength: chuteCount, maxLength: chuteCount }),
  values: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: chuteCount, maxLength: chuteCount }),
  costs: fc.array(fc.nat({ max: 3 }), { minLength: serverCount, maxLength: serverCount }),
  gpus: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: serverCount, maxLength: serverCount }),
  target: small,
  jobs: fc.subarray(ids, { maxLength: 3 }),
  /** Minutes since activation; those divisible by 5 fail, by 7 roll over. */
  ages: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 30 }),
});
type Fleet = Drawn<typeof fleets>;

const clock = { now: () => f.now };

/** Filled without rules; then everybody pays something else, and some fail or roll over. */
function livedIn({ gpuCounts, values, costs, gpus, target, jobs, ages }: Fleet): World {
  const chutes = ids.map((_, i) =>
    f.chute(`chute ${i}`, {
      gpuCount: gpuCounts[i] ?? 1,
      supportedGpus: i % 3 === 0 ? models : [models[i % 2] ?? ''],
      effectiveComputeMultiplier: values[i] ?? 1,
    }),
  );
  const servers = names.map((name, i) =>
    f.server(name, { model: models[i % 2] ?? '', count: gpus[i] ?? 1, hourlyCost: costs[i] ?? 0 }),
  );
  const wanted = (active: number) =>
    chutes.map((chute) => f.utilization(chute, { targetCount: target + 2 * active, activeInstanceCount: active }));
  const empty = f.world({ chutes, servers, utilization: wanted(0) });
  const policy = policyConfig.parse({});
  const running = planOn(empty, policy, clock, seededRandom(3), emptyMemory).planned.deploys.map(({ spec }) => spec);
  const rows = running.map((spec, i) => {
    const at = f.now - (ages[i] ?? 100) * f.minute;
    return f.row(spec, { activatedAt: at, tokenAt: at - f.minute, plannedAt: at - f.minute });
  });
  const pods = running.map((spec, i) => f.pod(spec, (ages[i] ?? 1) % 5 === 0 ? { phase: 'Failed' } : {}));
  const rolling = rows.filter((_, i) => (ages[i] ?? 1) % 7 === 0).flatMap(({ instanceId }) => instanceId ?? []);
  const now = chutes.map((chute, i) => ({
    ...chute,
    version: i % 2 === 0 ? 'v2' : chute.version,
    effectiveComputeMultiplier: (values[(i + 1) % chuteCount] ?? 1) * (i % 2 === 0 ? 20 : 0.1),
  }));
  const market = new Map(now.map(({ chuteId }) => [chuteId, { activeTotal: 9 }]));
  const offers = jobs.map((chuteId) => {
    const gpuCount = now.find((chute) => chute.chuteId === chuteId)?.gpuCount ?? 1;
    const job = { jobId: f.id(`job of ${chuteId}`), chuteId, gpuCount, computeMultiplier: 40, diskGb: 10 };
    return [job.jobId, { ...job, excluded: [], attempted: false }] as const;
  });
  return f.world(
    { chutes: now, servers, running, rows, pods, utilization: wanted(2) },
    { market, rollingInstances: new Set(rolling), jobs: new Map(offers) },
  );
}

interface Outcome {
  world: World;
  policy: Policy;
  result: RollOver;
  /** Every new deployment with those whose place it takes. */
  launched: { spec: DeploymentSpec; victims: readonly RemoveDecision[] }[];
}

function outcomeOf(fleet: Fleet, policy: Policy): Outcome {
  const world = livedIn(fleet);
  const { planned, allowance } = planOn(world, policy, clock, seededRandom(1), emptyMemory);
  const context = { world, policy, allowance, random: seededRandom(2), now: f.now, pairs: new Map() };
  const result = rollOver(planned, context);
  const launched = [
    ...result.deploys.map(({ spec }) => ({ spec, victims: [] })),
    ...result.swaps.map(({ deploy, victims }) => ({ spec: deploy.spec, victims })),
  ];
  return { world, policy, result, launched };
}

let swaps = 0;
let launches = 0;
let blocked = 0;

/** Every property looks at the same kind of outcomes. */
function always(name: string, check: (outcome: Outcome) => void): void {
  test(name, () => {
    const look = (fleet: Fleet, policy: Policy) => {
      const outcome = outcomeOf(fleet, policy);
      launches += outcome.launched.length;
      swaps += outcome.result.swaps.length;
      if (outcome.launched.length === 0) blocked += 1;
      check(outcome);
    };
    fc.assert(fc.property(fleets, policies, look), { numRuns: 60 });
  });
}

function specs({ world, launched }: Outcome): DeploymentSpec[] {
  return [...world.desired.values(), ...launched.map(({ spec }) => spec)];
}

function costOf(world: World, held: readonly DeploymentSpec[]): number {
  const costs = new Map(world.servers.map(({ name, hourlyCost }) => [name, hourlyCost]));
  const gpus = new Map(held.flatMap(({ gpuIds, server }) => gpuIds.map((gpuId) => [gpuId, server] as const)));
  return [...gpus.values()].reduce((sum, server) => sum + (costs.get(server) ?? 0), 0);
}

always('no plan takes the cost above the ceiling, or further above it', ({ world, policy, launched, result }) => {
  if (policy.costCeiling === null) return;
  const before = costOf(world, [...world.desired.values()]);
  const victims = new Set(result.swaps.flatMap((swap) => swap.victims.map(({ spec }) => spec.deploymentId)));
  const stay = [...world.desired.values()].filter(({ deploymentId }) => !victims.has(deploymentId));
  const after = costOf(world, [...stay, ...launched.map(({ spec }) => spec)]);
  assert.ok(after <= Math.max(before, policy.costCeiling) + 1e-9, `${after} after ${before}`);
});

always('no chute gets more instances than its maximum', (outcome) => {
  const { world, policy, result, launched } = outcome;
  const gone = new Set([
    ...result.removals.filter(({ reason }) => reason !== 'rolling-update').map(({ spec }) => spec.deploymentId),
    ...result.swaps.flatMap(({ deploy, victims }) =>
      victims.filter(({ spec }) => spec.chuteId === deploy.spec.chuteId).map(({ spec }) => spec.deploymentId),
    ),
  ]);
  for (const [chuteId, { maximum }] of Object.entries(policy.chutes)) {
    if (maximum === null || !launched.some(({ spec }) => spec.chuteId === chuteId)) continue;
    const own = specs(outcome).filter((spec) => spec.chuteId === chuteId && !gone.has(spec.deploymentId)).length;
    const before = [...world.desired.values()].filter((spec) => spec.chuteId === chuteId).length;
    assert.ok(own <= Math.max(maximum, before), `${own} of ${maximum}`);
  }
});

always('a chute starts only where it is pinned, allowed and not denied', ({ policy, launched }) => {
  for (const { spec } of launched) {
    const { chuteId, server } = spec;
    assert.not(policy.denyChutes.includes(chuteId));
    assert.ok(policy.allowChutes === null || policy.allowChutes.includes(chuteId));
    assert.is.not(policy.chutes[chuteId]?.servers?.includes(server), false);
    assert.not(policy.servers[server]?.denyChutes.includes(chuteId) ?? false);
    assert.is.not(policy.servers[server]?.allowChutes?.includes(chuteId), false);
  }
});

always('no plan takes free GPUs below a reserve, or further below it', ({ world, policy, launched }) => {
  const rooms = roomOf(world);
  const free = (model?: string) =>
    [...rooms.values()].reduce(
      (sum, { freeGpus }) =>
        sum + [...freeGpus].reduce((n, [one, gpus]) => n + (model === undefined || one === model ? gpus.length : 0), 0),
      0,
    );
  const taken = (model?: string) =>
    launched.reduce((sum, { spec, victims }) => {
      const on = world.servers.find(({ name }) => name === spec.server)?.gpuShortRef;
      const given = victims.reduce((n, victim) => n + victim.spec.gpuIds.length, 0);
      return model === undefined || on === model ? sum + Math.max(0, spec.gpuIds.length - given) : sum;
    }, 0);
  const reserves = [[undefined, policy.reserve.total] as const, ...Object.entries(policy.reserve.models)];
  for (const [model, kept] of reserves) {
    if (taken(model) > 0)
      assert.ok(free(model) - taken(model) >= kept, `${model}: ${free(model)} - ${taken(model)} < ${kept}`);
  }
});

always('no server gets more deployments than its maximum', (outcome) => {
  const { policy, world, launched } = outcome;
  for (const [name, { maximum }] of Object.entries(policy.servers)) {
    if (maximum === null) continue;
    const before = [...world.desired.values()].filter(({ server }) => server === name).length;
    const more = launched
      .filter(({ spec }) => spec.server === name)
      .reduce((sum, { victims }) => sum + Math.max(0, 1 - victims.length), 0);
    assert.ok(before + more <= Math.max(maximum, before));
  }
});

always('launches and own removals stay within what the window has left', ({ world, policy, launched, result }) => {
  const since = f.now - policy.limits.minutes * f.minute;
  const before = [...world.lifecycles.values()].filter(({ tokenAt }) => (tokenAt ?? 0) > since).length;
  const most = policy.limits.launches ?? Number.POSITIVE_INFINITY;
  assert.ok(
    launched.length <= Math.max(0, most - before),
    `${launched.length} launches, ${before} before, ${most} in all`,
  );
  const own = [...result.removals, ...result.swaps.flatMap(({ victims }) => victims)].filter(({ reason }) =>
    ['preempted', 'pod-failed', 'pod-lost', 'launch-stuck'].includes(reason),
  );
  assert.ok(own.length <= (policy.limits.removals ?? Number.POSITIVE_INFINITY));
});

always('no swap leaves a chute with fewer active instances than its minimum', ({ world, policy, result }) => {
  for (const [chuteId, { minimum }] of Object.entries(policy.chutes)) {
    const gone = result.swaps
      .flatMap(({ victims }) => victims)
      .filter(({ spec, reason }) => spec.chuteId === chuteId && reason === 'preempted');
    if (gone.length === 0) continue;
    const removed = new Set([...result.removals, ...gone].map(({ spec }) => spec.deploymentId));
    const left = [...world.desired.values()].filter(
      (spec) => spec.chuteId === chuteId && spec.jobId === undefined && !removed.has(spec.deploymentId),
    );
    assert.ok(left.length >= minimum);
  }
});

test('the same input gives the same plan and tells the same of what was held back', () => {
  const look = (fleet: Fleet, policy: Policy) => {
    const run = () => planOn(livedIn(fleet), policy, clock, seededRandom(1), emptyMemory).planned;
    assert.equal(run(), run());
  };
  fc.assert(fc.property(fleets, policies, look), { numRuns: 30 });
});

test('the fleets were busy: launches, swaps and plans in which the policy let nothing start', () => {
  assert.ok(launches > 200 && swaps > 40 && blocked > 20, `${launches} launches, ${swaps} swaps, ${blocked} blocked`);
});

test.run();
