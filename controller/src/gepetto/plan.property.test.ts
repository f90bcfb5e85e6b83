import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lifecycleOf } from '../domain/lifecycle.ts';
import { isAllocatableNodePort } from '../domain/nodeport.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { type Plan, plan } from './plan.ts';
import { emptyMemory, type World } from './world.ts';

const models = ['h100', 'a6000', '4090'];
const modelList = fc.subarray(models, { minLength: 1 });

const chutes = fc.array(
  fc.record({
    gpuCount: fc.constantFrom(1, 1, 2, 4, 8),
    supportedGpus: modelList,
    effectiveComputeMultiplier: fc.double({ min: 0.1, max: 20, noNaN: true }),
  }),
  { maxLength: 12 },
);

const servers = fc.array(
  fc.record({
    model: fc.constantFrom(...models),
    count: fc.integer({ min: 1, max: 8 }),
    hourlyCost: fc.double({ min: 0, max: 5, noNaN: true }),
    locked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

interface Given {
  chutes: Parameters<typeof f.chute>[1][];
  servers: Parameters<typeof f.server>[1][];
  target: number;
}

const given: fc.Arbitrary<Given> = fc.record({ chutes, servers, target: fc.integer({ min: 0, max: 6 }) });

function emptyWorld({ chutes, servers, target }: Given): World {
  const all = chutes.map((change, i) => f.chute(`chute ${i}`, change));
  return f.world({
    chutes: all,
    servers: servers.map((change, i) => f.server(`s${i}`, change)),
    utilization: all.map((chute) => f.utilization(chute, { targetCount: target, activeInstanceCount: 0 })),
  });
}

/** Another seed gives other deployment ids. */
function planned(world: World, seed = 7): Plan {
  return plan(world, f.policy(), { now: () => f.now }, seededRandom(seed), emptyMemory);
}

/** The world right after the plan was committed: deployments wanted and recorded, no pod yet. */
function applied(world: World, { deploys }: Plan): World {
  const specs = deploys.map((decision) => decision.spec);
  return {
    ...world,
    desired: new Map([...world.desired, ...specs.map((spec) => [spec.deploymentId, spec] as const)]),
    lifecycles: new Map([
      ...world.lifecycles,
      ...specs.map((spec) => [spec.deploymentId, { ...lifecycleOf(spec, f.now), committedAt: f.now }] as const),
    ]),
  };
}

test('no GPU and no node port is given out twice, each GPU is one of the server and of a supported model', () => {
  fc.assert(
    fc.property(given, (input) => {
      const world = emptyWorld(input);
      const gpus = new Set<string>();
      const ports = new Set<string>();
      for (const { spec } of planned(world).deploys) {
        const server = world.servers.find((one) => one.name === spec.server);
        const chute = world.chutes.get(spec.chuteId);
        assert.ok(server && chute && !server.locked);
        assert.is(spec.gpuIds.length, chute.gpuCount);
        for (const gpuId of spec.gpuIds) {
          assert.not(gpus.has(gpuId));
          gpus.add(gpuId);
          const gpu = server.gpus.find((one) => one.gpuId === gpuId);
          assert.ok(gpu && chute.supportedGpus.includes(gpu.model));
        }
        for (const { nodePort } of spec.ports) {
          assert.ok(isAllocatableNodePort(nodePort));
          assert.not(ports.has(`${spec.server}:${nodePort}`));
          ports.add(`${spec.server}:${nodePort}`);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('planning again right after applying gives nothing to do', () => {
  fc.assert(
    fc.property(given, (input) => {
      const world = emptyWorld(input);
      const again = planned(applied(world, planned(world)));
      assert.equal([again.deploys, again.removals, again.effects], [[], [], []]);
    }),
    { numRuns: 300 },
  );
});

/** A world in which everything placed has run for a while, and then every chute pays something else. */
function livedIn(input: Given, minutes: number): World {
  const world = emptyWorld(input);
  const running = planned(world, 5).deploys.map((decision, i) => ({ ...decision.spec, preemptible: i % 3 !== 0 }));
  const rows = running.map((spec, i) =>
    lifecycleAt(spec, i % 4 === 0 ? undefined : f.now - (minutes + 20 * i) * f.minute),
  );
  const chutes = [...world.chutes.values()].map((chute, i) => ({
    ...chute,
    effectiveComputeMultiplier: chute.effectiveComputeMultiplier * (i % 2 === 0 ? 10 : 0.1),
  }));
  const utilization = chutes.map((chute) => f.utilization(chute, { targetCount: 20, activeInstanceCount: 2 }));
  const market = new Map(chutes.map(({ chuteId }, i) => [chuteId, { activeTotal: (i % 4) + 1 }]));
  return f.world({ chutes, servers: world.servers, running, rows, utilization }, { market });
}

function lifecycleAt(spec: Plan['deploys'][number]['spec'], activatedAt: number | undefined) {
  return f.row(spec, { activatedAt });
}

const lived = fc.tuple(given, fc.integer({ min: 0, max: 300 }));

test('no protected, young, pending or last instance is ever a victim, and a swap has the GPUs it takes', () => {
  let swapped = 0;
  fc.assert(
    fc.property(lived, ([input, minutes]) => {
      const world = livedIn(input, minutes);
      const { preemptions, deploys } = planned(world);
      const held = new Map<string, string>();
      for (const spec of world.desired.values()) for (const gpu of spec.gpuIds) held.set(gpu, spec.deploymentId);
      const gone = new Map<string, number>();
      for (const { deploy, victims } of preemptions) {
        swapped++;
        for (const { spec } of victims) {
          const activatedAt = world.lifecycles.get(spec.deploymentId)?.activatedAt;
          assert.ok(spec.preemptible && spec.jobId === undefined);
          assert.ok(activatedAt !== undefined && f.now - activatedAt >= 60 * f.minute);
          assert.is(spec.server, deploy.spec.server);
          assert.is.not(spec.chuteId, deploy.spec.chuteId);
          gone.set(spec.chuteId, (gone.get(spec.chuteId) ?? 0) + 1);
          for (const gpu of spec.gpuIds) held.delete(gpu);
        }
      }
      for (const [chuteId, count] of gone) assert.ok(count < (world.market?.get(chuteId)?.activeTotal ?? 0));
      for (const { spec } of [...deploys, ...preemptions.map(({ deploy }) => deploy)]) {
        for (const gpu of spec.gpuIds) {
          assert.not(held.has(gpu), 'a GPU twice');
          held.set(gpu, spec.deploymentId);
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(swapped > 100, `only ${swapped} swaps were looked at`);
});

test('planning again right after a swap was applied gives nothing to do', () => {
  fc.assert(
    fc.property(lived, ([input, minutes]) => {
      const world = livedIn(input, minutes);
      const result = planned(world);
      const gone = new Set(result.preemptions.flatMap(({ victims }) => victims.map(({ spec }) => spec.deploymentId)));
      const newcomers = result.preemptions.map(({ deploy }) => deploy);
      const next = applied(world, { ...result, deploys: [...result.deploys, ...newcomers] });
      const desired = new Map([...next.desired].filter(([deploymentId]) => !gone.has(deploymentId)));
      const lifecycles = new Map(
        [...next.lifecycles].map(([deploymentId, row]) => [
          deploymentId,
          gone.has(deploymentId) ? { ...row, removedAt: f.now } : row,
        ]),
      );
      const market = new Map(world.market);
      for (const { victims } of result.preemptions) {
        for (const { spec } of victims) {
          market.set(spec.chuteId, { activeTotal: (market.get(spec.chuteId)?.activeTotal ?? 1) - 1 });
        }
      }
      const again = planned({ ...next, desired, lifecycles, market });
      assert.equal([again.deploys, again.preemptions], [[], []]);
    }),
    { numRuns: 300 },
  );
});

test('the same input gives the same plan', () => {
  fc.assert(
    fc.property(given, (input) => assert.equal(planned(emptyWorld(input)), planned(emptyWorld(input)))),
    { numRuns: 100 },
  );
});

test('no room is left that a wanted chute would fit in', () => {
  fc.assert(
    fc.property(given, (input) => {
      const world = emptyWorld(input);
      const { deploys } = planned(world);
      for (const chute of world.chutes.values()) {
        const placed = deploys.filter((decision) => decision.spec.chuteId === chute.chuteId).length;
        if (placed === input.target) continue;
        for (const server of world.servers) {
          if (server.locked) continue;
          const used = deploys
            .filter((d) => d.spec.server === server.name)
            .reduce((sum, d) => sum + d.spec.gpuIds.length, 0);
          const fits = server.gpus.length - used >= chute.gpuCount && chute.supportedGpus.includes(server.gpuShortRef);
          assert.not(fits, `${chute.name} would still fit on ${server.name}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test.run();
