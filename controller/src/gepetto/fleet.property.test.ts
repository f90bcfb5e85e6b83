import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '../domain/deployment.ts';
import { seededRandom } from '../domain/random.ts';
import type { Server } from '../domain/server.ts';
import * as f from './fixtures.ts';
import { fleetOf } from './fleet.ts';
import { type Plan, plan } from './plan.ts';
import { emptyMemory, type Memory, type World } from './world.ts';

const chutes = ['x', 'y', 'z'].map((name, i) =>
  f.chute(name, { effectiveComputeMultiplier: 1 + i, gpuCount: 1 + (i % 2) }),
);
const market = new Map(chutes.map(({ chuteId }) => [chuteId, { activeTotal: 9 }]));
const fleet = Array.from({ length: 6 }, (_, i) => f.server(`s${i}`, { count: 4 }));
const slots = fleet.flatMap((server) =>
  [0, 1, 2, 3].map((from) => f.spec(chutes[from % 3] ?? f.chute('x'), server, from)),
);

/** What may happen between two plans to one deployment, or to one server. */
interface Change {
  slot: number;
  kind:
    | 'deploy'
    | 'want'
    | 'copy-pod'
    | 'start'
    | 'remove'
    | 'forget'
    | 'fail'
    | 'drop-pod'
    | 'gone'
    | 'move-row'
    | 'move-pod'
    | 'move-spec'
    | 'lock'
    | 'delete-server'
    | 'add-server';
}

const kinds: readonly Change['kind'][] = [
  'deploy',
  'deploy',
  'start',
  'want',
  'want',
  'copy-pod',
  'remove',
  'forget',
  'fail',
  'drop-pod',
  'gone',
  'move-row',
  'move-pod',
  'move-spec',
  'lock',
  'delete-server',
  'add-server',
];

interface Parts {
  servers: readonly Server[];
  desired: Map<string, DeploymentSpec>;
  rows: Map<string, DeploymentLifecycle>;
  pods: readonly ObservedPod[];
}

function apply(parts: Parts, { slot, kind }: Change): Parts {
  const spec = slots[slot % slots.length];
  if (!spec) return parts;
  const id = spec.deploymentId;
  const other = fleet[(slot + 1) % fleet.length]?.name ?? '';
  const row = parts.rows.get(id);
  const desired = new Map(parts.desired);
  const rows = new Map(parts.rows);
  let { servers, pods } = parts;
  if (kind === 'deploy' || kind === 'want') desired.set(id, spec);
  if (kind === 'copy-pod') pods = [...pods, f.pod(spec, { server: other })];
  if (kind === 'deploy' || kind === 'start') {
    rows.set(id, f.row(spec, kind === 'start' ? {} : { activatedAt: undefined, verifiedAt: undefined }));
    if (!pods.some(({ deploymentId }) => deploymentId === id)) pods = [...pods, f.pod(spec)];
  }
  if (kind === 'remove') desired.delete(id);
  if (kind === 'forget') rows.delete(id);
  if (kind === 'gone' && row) rows.set(id, { ...row, instanceGoneAt: f.now });
  if (kind === 'move-row' && row) rows.set(id, { ...row, server: other });
  if (kind === 'move-spec') desired.set(id, { ...spec, server: other });
  if (kind === 'drop-pod') pods = pods.filter(({ deploymentId }) => deploymentId !== id);
  if (kind === 'fail' || kind === 'move-pod') {
    const change = kind === 'fail' ? ({ phase: 'Failed' } as const) : { server: other };
    pods = pods.map((pod) => (pod.deploymentId === id ? { ...pod, ...change } : pod));
  }
  if (kind === 'lock') {
    servers = servers.map((server) => (server.name === other ? { ...server, locked: !server.locked } : server));
  }
  if (kind === 'delete-server') servers = servers.filter(({ name }) => name !== other);
  if (kind === 'add-server' && !servers.some(({ name }) => name === other)) {
    servers = [...servers, ...fleet.filter(({ name }) => name === other)];
  }
  return { servers, desired, rows, pods };
}

function worldOf({ servers, desired, rows, pods }: Parts): World {
  const world = f.world(
    { chutes, servers, running: [...desired.values()], rows: [...rows.values()], pods },
    { market },
  );
  return { ...world, desired, configuredServers: new Set(fleet.map(({ name }) => name)) };
}

const history = fc.array(
  fc.array(fc.record({ slot: fc.nat({ max: slots.length - 1 }), kind: fc.constantFrom(...kinds) }), { maxLength: 4 }),
  { minLength: 1, maxLength: 12 },
);

function worldsOf(steps: readonly (readonly Change[])[]): World[] {
  let parts: Parts = { servers: fleet, desired: new Map(), rows: new Map(), pods: [] };
  for (const slot of slots.keys()) if (slot % 5 !== 0) parts = apply(parts, { slot, kind: 'deploy' });
  for (const slot of slots.keys()) if (slot % 3 === 0 && slot % 5 !== 0) parts = apply(parts, { slot, kind: 'start' });
  return steps.map((changes) => {
    parts = changes.reduce(apply, parts);
    return worldOf(parts);
  });
}

function plansOf(worlds: readonly World[]): Plan[] {
  let memory: Memory = emptyMemory;
  return worlds.map((world, i) => {
    const planned = plan(world, f.policy(), { now: () => f.now + i * f.minute }, seededRandom(i), memory);
    memory = planned.memory;
    return planned;
  });
}

/** What chance seldom finds: a spec comes to one server while its row or pod has been on another, or a pod to another than its own. */
const examples: [Change[][]][] = (
  [
    [['move-row'], ['drop-pod'], ['remove'], ['want']],
    [['move-pod'], ['remove', 'forget'], ['want']],
    [['copy-pod']],
  ] as const
).map((steps) => [[[], ...steps.map((all) => all.map((kind) => ({ slot: 1, kind })))]]);

test('a plan made from what changed since the last one is the plan made from nothing', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const worlds = worldsOf(steps);
      // No object of a copy is known from the plan before.
      const copies = worlds.map((world) => structuredClone(world));
      assert.equal(worlds.map(fleetOf), copies.map(fleetOf));
      assert.equal(plansOf(worlds), plansOf(copies));
    }),
    { numRuns: 100, examples },
  );
});

test('a server of which nothing changed is the same object as in the plan before, a changed one is not', () => {
  const [before, after] = worldsOf([[], [{ slot: 1, kind: 'gone' }]]);
  assert.ok(before && after);
  const first = fleetOf(before);
  const second = fleetOf(after);
  const same = [...second].filter(([name, here]) => first.get(name) === here).map(([name]) => name);
  assert.equal(same, ['s1', 's2', 's3', 's4', 's5']);
});

test.run();
