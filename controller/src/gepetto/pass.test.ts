import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import type { LaunchOutcome, LiveBatch, LiveTree } from '../domain/ports.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { type PassPorts, runPass } from './pass.ts';
import { emptyMemory, isBackedOff, type World } from './world.ts';

const x = f.chute('x', { effectiveComputeMultiplier: 2 });
const y = f.chute('y');

interface Calls {
  launched: string[];
  cancelled: string[];
  batches: LiveBatch[];
  marks: string[];
  saved: Decision[];
  deleted: string[];
  reports: string[];
}

interface Scene {
  world?: World;
  launch?: (spec: DeploymentSpec) => LaunchOutcome;
  /** Called before a commit; may reject it. */
  onCommit?: (attempt: number, batch: LiveBatch) => void;
  /** `live` as somebody else left it after a conflict. */
  liveAfterConflict?: Map<string, DeploymentSpec>;
  onDelete?: () => void;
}

function scene({ world = f.world({ chutes: [x, y] }), launch, onCommit, liveAfterConflict, onDelete }: Scene = {}) {
  const calls: Calls = { launched: [], cancelled: [], batches: [], marks: [], saved: [], deleted: [], reports: [] };
  const live: LiveTree = { commit: 'base', deployments: world.desired };
  const ports: PassPorts = {
    clock: { now: () => f.now },
    random: seededRandom(3),
    look: async () => ({ world, policy: f.policy(), configCommit: 'main1', live }),
    link: {
      launch: async (specs) => {
        calls.launched.push(...specs.map((spec) => spec.chuteName));
        return specs.map((spec) => launch?.(spec) ?? { granted: true, configId: `config of ${spec.chuteName}` });
      },
      cancel: async (specs) => {
        calls.cancelled.push(...specs.map((spec) => spec.chuteName));
      },
      deleteInstance: async (_validator, _chuteId, instanceId) => {
        onDelete?.();
        calls.deleted.push(instanceId);
      },
      releaseJob: async (_validator, jobId) => {
        calls.deleted.push(jobId);
      },
    },
    repo: {
      propose: () => Promise.reject(new Error('nothing is proposed in mode active')),
      readLive: async () => ({ commit: 'moved', deployments: liveAfterConflict ?? world.desired }),
      commitLive: async (batch) => {
        calls.batches.push(batch);
        onCommit?.(calls.batches.length, batch);
        return { commit: 'new', deployments: new Map() };
      },
    },
    store: {
      addLifecycle: async (rows) => {
        calls.marks.push(...rows.map((row) => `add ${row.deploymentId}`));
      },
      mark: async (step, ids) => {
        for (const deploymentId of ids) calls.marks.push(`${step} ${deploymentId}`);
      },
      linkInstance: async () => true,
      markInstance: async (step, { instanceId }) => {
        calls.marks.push(`${step} ${instanceId}`);
        return true;
      },
      decisions: async () => [],
      saveDecisions: async (rows) => {
        calls.saved.push(...rows.map((row) => row.decision));
      },
    },
    report: (message) => {
      calls.reports.push(message);
    },
  };
  return { ports, calls };
}

test('what was planned is launched, committed with its config id, marked and stored', async () => {
  const { ports, calls } = scene();
  const result = await runPass(ports, emptyMemory);
  assert.equal(calls.launched, ['x', 'y']);
  assert.equal(
    calls.batches[0]?.decisions.map((decision) => decision.spec.configId),
    ['config of x', 'config of y'],
  );
  assert.is(calls.batches[0]?.configCommit, 'main1');
  assert.is(calls.saved.length, 2);
  assert.is(calls.marks.filter((mark) => mark.startsWith('committedAt')).length, 2);
  assert.is(result.again, false);
});

test('S10 B16 a refused launch is not committed, its chute waits, and the rest goes on', async () => {
  const { ports, calls } = scene({
    launch: (spec) =>
      spec.chuteName === 'x'
        ? { granted: false, status: 423, detail: 'at capacity' }
        : { granted: true, configId: 'c' },
  });
  const result = await runPass(ports, emptyMemory);
  assert.equal(
    calls.batches[0]?.decisions.map((decision) => decision.spec.chuteName),
    ['y'],
  );
  assert.ok(isBackedOff(result.memory.refusals, x.chuteId, f.now + 59_000));
  assert.ok(result.again);
});

test('a validator out of reach makes the chute wait briefly without counting a failure', async () => {
  const { ports } = scene({ launch: () => ({ granted: false, status: 0, detail: 'connection refused' }) });
  const { memory, again } = await runPass(ports, emptyMemory);
  assert.is(memory.refusals.get(x.chuteId)?.failures, 0);
  assert.not(isBackedOff(memory.refusals, x.chuteId, f.now + 31_000));
  assert.is(again, false);
});

test('a member that does not take the Secret is avoided for that chute', async () => {
  const { ports } = scene({ launch: () => ({ granted: false, status: -1, detail: 'cluster down' }) });
  const { memory } = await runPass(ports, emptyMemory);
  assert.ok(isBackedOff(memory.failures, `${x.chuteId}@b`, f.now + 1));
});

test('nothing planned makes no commit', async () => {
  const { ports, calls } = scene({ world: f.world({}) });
  await runPass(ports, emptyMemory);
  assert.equal(calls.batches, []);
});

test('a conflict is answered by committing again on the new head', async () => {
  const { ports, calls } = scene({
    onCommit: (attempt) => {
      if (attempt === 1) throw new MinerError('E-GIT-CONFLICT', 'moved');
    },
  });
  await runPass(ports, emptyMemory);
  assert.equal(
    calls.batches.map((batch) => batch.base),
    ['base', 'moved'],
  );
  assert.is(calls.saved.length, 2);
});

test('what somebody else removed meanwhile is not removed again', async () => {
  const spec = f.spec(x, f.servers.B);
  const rows = [f.row(spec, { instanceGoneAt: f.now })];
  const { ports, calls } = scene({
    world: f.world({ running: [spec], rows }),
    liveAfterConflict: new Map(),
    onCommit: () => {
      throw new MinerError('E-GIT-CONFLICT', 'moved');
    },
  });
  const result = await runPass(ports, emptyMemory);
  assert.is(calls.batches.length, 1);
  assert.equal(result.committed, []);
});

test('a tree that breaks the guard is reported, its launches taken back, and removals still go', async () => {
  const spec = f.spec(x, f.servers.B);
  const rows = [f.row(spec, { instanceGoneAt: f.now })];
  const { ports, calls } = scene({
    world: f.world({ chutes: [y], running: [spec], rows }),
    onCommit: (_attempt, { decisions }) => {
      if (decisions.some((decision) => decision.kind === 'deploy')) throw new MinerError('E-GUARD', 'gpu-twice');
    },
  });
  const result = await runPass(ports, emptyMemory);
  assert.equal(calls.cancelled, ['y']);
  assert.match(calls.reports[0] ?? '', /gpu-twice/);
  assert.equal(
    result.committed.map((decision) => decision.kind),
    ['remove'],
  );
});

test('a repository that cannot be written takes the launches back and tells the error', async () => {
  const { ports, calls } = scene({
    onCommit: () => {
      throw new MinerError('E-GIT-REPOSITORY', 'disk full');
    },
  });
  const { failure } = await runPass(ports, emptyMemory);
  assert.match(String(failure), /disk full/);
  assert.equal(calls.cancelled, ['x', 'y']);
  assert.equal(calls.saved, []);
});

test('a store that fails after the commit takes no launch back: what is committed needs its Secret', async () => {
  const { ports, calls } = scene();
  const store = { ...ports.store, mark: () => Promise.reject(new MinerError('E-STORE', 'disk full')) };
  let message = '';
  await runPass({ ...ports, store }, emptyMemory).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, 'disk full');
  assert.is(calls.batches.length, 1);
  assert.equal(calls.cancelled, []);
});

test('an instance of a removed deployment is deleted at the validator and remembered, or asked for again', async () => {
  const spec = f.spec(x, f.servers.B);
  const removed = f.row(spec, { removedAt: f.now });
  const world = f.world({ rows: [removed], pods: [f.pod(spec)] });
  const good = scene({ world });
  await runPass(good.ports, emptyMemory);
  assert.equal(good.calls.deleted, [removed.instanceId]);
  assert.ok(good.calls.marks.includes(`instanceGoneAt ${removed.instanceId}`));
  const bad = scene({
    world,
    onDelete: () => {
      throw new Error('503');
    },
  });
  await runPass(bad.ports, emptyMemory);
  assert.equal(bad.calls.marks, []);
  assert.match(bad.calls.reports[0] ?? '', /503/);
});

test.run();
