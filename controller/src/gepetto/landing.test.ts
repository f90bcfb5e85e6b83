// What becomes of decisions that did not all get onto `live`, or of which nobody knows.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import { lifecycleOf } from '../domain/lifecycle.ts';
import type { CommittedTree, LiveBatch } from '../domain/ports.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { type PassPorts, runPass } from './pass.ts';
import { revertCooldownMs } from './revert.ts';
import type { PassMemory } from './swap.ts';
import { emptyMemory, pairKey, type World } from './world.ts';

const x = f.chute('x', { effectiveComputeMultiplier: 2 });
const y = f.chute('y');
const lost = new MinerError('E-GIT-REPOSITORY', 'no answer in time', { detail: { mayLand: true } });

/** One answer of git for each commit, the last for all that follow. */
type Answer = (batch: LiveBatch, live: ReadonlyMap<string, DeploymentSpec>) => CommittedTree;

function treeAfter(decisions: readonly Decision[], live: ReadonlyMap<string, DeploymentSpec>): CommittedTree {
  const deployments = new Map(live);
  for (const { kind, spec } of decisions) {
    if (kind === 'deploy') deployments.set(spec.deploymentId, spec);
    else deployments.delete(spec.deploymentId);
  }
  return { commit: `with ${[...deployments.values()].map(({ chuteName }) => chuteName).join()}`, deployments };
}

const all: Answer = ({ decisions }, live) => treeAfter(decisions, live);
const nobodyKnows: Answer = () => {
  throw lost;
};

function scene(world: World, ...answers: Answer[]) {
  const rows = new Map(world.lifecycles);
  let live = new Map(world.desired);
  let obstacle: string | undefined;
  let now = f.now;
  const seen = { launched: 0, cancelled: [] as string[], batches: [] as string[][], saved: [] as [string, string][] };
  const reports: string[] = [];
  let change: Partial<World> = {};
  const policy = f.policy();
  const ports: PassPorts = {
    clock: { now: () => now },
    random: seededRandom(7),
    obstacle: async () => obstacle,
    look: async () => ({
      world: { ...world, desired: new Map(live), lifecycles: new Map(rows), ...change },
      policy,
      configCommit: 'main1',
      live: { commit: 'seen', deployments: new Map(live) },
    }),
    link: {
      async launch(specs) {
        seen.launched += specs.length;
        for (const spec of specs) rows.set(spec.deploymentId, { ...lifecycleOf(spec, now), tokenAt: now });
        return specs.map((spec) => ({ granted: true, configId: `config of ${spec.chuteName}` }));
      },
      async cancel(specs) {
        seen.cancelled.push(...specs.map(({ chuteName }) => chuteName));
      },
      deleteInstance: async () => undefined,
      releaseJob: async () => undefined,
    },
    repo: {
      propose: () => Promise.reject(new Error('nothing is proposed in mode active')),
      readLive: async () => ({ commit: 'read', deployments: new Map(live) }),
      async commitLive(batch) {
        seen.batches.push(batch.decisions.map(({ kind, spec }) => `${kind} ${spec.chuteName}`));
        const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? all;
        const made = answer(batch, live);
        live = new Map(made.deployments);
        return made;
      },
    },
    store: {
      addLifecycle: async () => undefined,
      async mark(step, ids, at) {
        for (const id of ids) {
          const row = rows.get(id);
          if (row) rows.set(id, { ...row, [step]: row[step] ?? at });
        }
      },
      linkInstance: async () => true,
      markInstance: async () => true,
      decisions: async () => [],
      async saveDecisions(saved) {
        seen.saved.push(
          ...saved.map(({ decision, commit }): [string, string] => [decision.spec.chuteName, `${commit}`]),
        );
      },
    },
    report: (message) => reports.push(message),
  };
  let memory: PassMemory = emptyMemory;
  return {
    seen,
    reports,
    rows,
    async pass() {
      const result = await runPass(ports, memory);
      memory = result.memory;
      return result;
    },
    memory: () => memory,
    live: () => live,
    landed(change: (live: Map<string, DeploymentSpec>) => void) {
      change(live);
    },
    block(reason: string | undefined) {
      obstacle = reason;
    },
    become(next: Partial<World>) {
      change = next;
    },
    wait(ms: number) {
      now += ms;
    },
  };
}

const empty = () => f.world({ chutes: [x, y] });

test('of a batch that was halved only what landed is recorded, and the tokens of the rest are taken back', async () => {
  const at = scene(empty(), ({ decisions }, live) => {
    const landed = decisions.slice(0, 1);
    return { ...treeAfter(landed, live), landed, failure: new MinerError('E-GIT-REPOSITORY', 'disk full') };
  });
  const result = await at.pass();
  assert.equal(at.seen.saved, [['x', 'with x']]);
  assert.equal(at.seen.cancelled, ['y']);
  assert.equal(
    result.committed.map(({ spec }) => spec.chuteName),
    ['x'],
  );
  assert.match(String(result.failure), /disk full/);
});

test('decisions of a batch that landed in parts are recorded each with the commit of its part', async () => {
  const at = scene(empty(), ({ decisions }, live) => {
    const earlier = new Map(decisions.map((decision, i) => [decision, `part ${i + 1}`]));
    return { ...treeAfter(decisions, live), commit: 'part 2', earlier };
  });
  await at.pass();
  assert.equal(at.seen.saved, [
    ['x', 'part 1'],
    ['y', 'part 2'],
  ]);
});

test('what a conflict kept out of a halved batch is committed on the new head', async () => {
  const conflict = new MinerError('E-GIT-CONFLICT', 'moved');
  const at = scene(
    empty(),
    ({ decisions }, live) => {
      const landed = decisions.slice(0, 1);
      return { ...treeAfter(landed, live), landed, failure: conflict };
    },
    all,
  );
  await at.pass();
  assert.equal(at.seen.batches, [['deploy x', 'deploy y'], ['deploy y']]);
  assert.equal(
    at.seen.saved.map(([name]) => name),
    ['x', 'y'],
  );
  assert.equal(at.seen.cancelled, []);
});

test('a push of unknown outcome keeps its tokens, and is committed again by the next pass with no new ones', async () => {
  const at = scene(empty(), nobodyKnows, all);
  const first = await at.pass();
  assert.is(first.failure, lost);
  assert.equal([first.committed.length, at.seen.saved.length, at.seen.cancelled.length], [0, 0, 0]);
  const ids = (at.memory().unsettled?.deploys ?? []).map(({ spec }) => spec.deploymentId);
  const second = await at.pass();
  assert.equal([at.seen.launched, second.committed.length, at.seen.cancelled.length], [2, 2, 0]);
  assert.equal([...at.live().keys()], ids);
  assert.is(at.memory().unsettled, undefined);
});

test('a push that arrived after all is found by reading live again, and recorded with the commit that has it', async () => {
  const at = scene(empty(), nobodyKnows, all);
  await at.pass();
  const [first, second] = at.memory().unsettled?.deploys ?? [];
  assert.ok(first && second);
  at.landed((live) => live.set(first.spec.deploymentId, first.spec));
  await at.pass();
  assert.equal(at.seen.batches[1], [`deploy ${second.spec.chuteName}`]);
  assert.equal(at.seen.saved[0], [first.spec.chuteName, 'seen']);
  assert.is(at.seen.launched, 2);
  assert.ok(at.rows.get(first.spec.deploymentId)?.committedAt);
});

const superseded: [string, Partial<World>, number][] = [
  ['chute is gone', { goneChutes: new Set([x.chuteId]) }, 0],
  ['chute has a new version', { chutes: new Map([[x.chuteId, { ...x, version: f.id('v2') }]]) }, 0],
  ['server is locked', { servers: [{ ...f.servers.B, locked: true }] }, 0],
  ['token is too old', {}, 3_600_000],
];
for (const [what, change, waited] of superseded) {
  test(`a held decision whose ${what} never lands: its Secret is taken back`, async () => {
    const at = scene(f.world({ chutes: [x] }), nobodyKnows, all);
    await at.pass();
    const [id = ''] = (at.memory().unsettled?.deploys ?? []).map(({ spec }) => spec.deploymentId);
    at.become(change);
    at.wait(waited);
    await at.pass();
    assert.equal(at.seen.cancelled, ['x']);
    assert.not(at.live().has(id));
    assert.ok(at.rows.get(id)?.removedAt);
  });
}

test('a removal of unknown outcome that landed is recorded as ours and not taken for a revert', async () => {
  const spec = f.spec(x, f.servers.B);
  const world = f.world({ running: [spec], rows: [f.row(spec, { instanceGoneAt: f.now })] });
  const at = scene(world, nobodyKnows, all);
  await at.pass();
  at.landed((live) => live.delete(spec.deploymentId));
  await at.pass();
  assert.equal(at.seen.saved, [['x', 'seen']]);
  assert.is(at.memory().failures.size, 0);
});

test('while git is away nothing is launched and no removal is noted; what a pass decides then it decides again later', async () => {
  const spec = f.spec(x, f.servers.B);
  const world = f.world({ chutes: [y], running: [spec], rows: [f.row(spec, { instanceGoneAt: f.now })] });
  const at = scene(world, all);
  at.block('git is away');
  for (const _ of [1, 2]) {
    const result = await at.pass();
    assert.equal([result.held, result.failure], [['git is away'], undefined]);
  }
  assert.equal(
    [at.seen.launched, at.seen.batches.length, at.rows.get(spec.deploymentId)?.removedAt],
    [0, 0, undefined],
  );
  at.block(undefined);
  await at.pass();
  assert.equal(at.seen.batches, [['remove x', 'deploy y']]);
});

test('while git is away a held push stays held, and its place is given to nobody else', async () => {
  const at = scene(empty(), nobodyKnows, all);
  await at.pass();
  at.block('git is away');
  await at.pass();
  await at.pass();
  assert.equal([at.seen.batches.length, at.seen.launched, at.memory().unsettled?.deploys.length], [1, 2, 2]);
  assert.ok([...at.rows.values()].every((row) => row.removedAt === undefined));
  at.block(undefined);
  const { committed } = await at.pass();
  assert.is(committed.length, 2);
});

test('nothing that is to be done asks nobody whether git is there', async () => {
  const at = scene(f.world({}), all);
  at.block('git is away');
  assert.equal((await at.pass()).held, []);
});

test('what a person takes out of live is not put on the same server again for six hours, and then may be', async () => {
  const spec = f.spec(x, f.servers.B);
  const row = f.row(spec);
  const at = scene(f.world({ chutes: [x], servers: [f.servers.B, f.servers.C], rows: [row], instances: [] }), all);
  await at.pass();
  assert.ok((at.memory().failures.get(pairKey(x.chuteId, 'b'))?.until ?? 0) >= f.now + revertCooldownMs);
  assert.equal(
    [...at.live().values()].map(({ server }) => server),
    ['c'],
  );
});

test.run();
