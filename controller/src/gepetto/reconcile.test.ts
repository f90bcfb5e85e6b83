import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeploymentLifecycle, ObservedPod } from '../domain/deployment.ts';
import type { RemoteInstance } from '../domain/ports.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { type Plan, plan } from './plan.ts';
import { emptyMemory, isBackedOff, type Memory, type World } from './world.ts';

const x = f.chute('x');
const one = f.spec(x, f.servers.B);
const paused = f.policy({ mode: 'paused' });

function planAt(world: World, at: number, memory: Memory = emptyMemory): Plan {
  return plan(world, paused, { now: () => at }, seededRandom(1), memory);
}

interface Sight {
  row?: Partial<DeploymentLifecycle>;
  pods?: readonly ObservedPod[];
  instances?: readonly RemoteInstance[];
  change?: Partial<World>;
}

/** The same picture at two times, each with snapshots of its own time. */
function twoLooks(sight: Sight, apartMs = f.minute): [Plan, Plan] {
  const rows = [f.row(one, sight.row)];
  function look(at: number, memory: Memory): Plan {
    const parts = { chutes: [x], running: [one], rows, fetchedAt: at, syncedAt: at };
    const given = { ...(sight.pods && { pods: sight.pods }), ...(sight.instances && { instances: sight.instances }) };
    return planAt(f.world({ ...parts, ...given }, sight.change), at, memory);
  }
  const first = look(f.now, emptyMemory);
  return [first, look(f.now + apartMs, first.memory)];
}

const reasons = (result: Plan) => result.removals.map((removal) => removal.reason);

test('a deployment in good order is left alone', () => {
  const looks = twoLooks({});
  for (const look of looks) assert.equal([look.removals, look.effects, look.held], [[], [], []]);
});

test('a commit that was made but not noted, since the miner died in between, is noted later', () => {
  const [look] = twoLooks({ row: { committedAt: undefined } });
  assert.equal(look.effects, [{ kind: 'mark', step: 'committedAt', deploymentId: one.deploymentId, at: f.now }]);
});

test('R1 a young deployment without a pod is kept', () => {
  const young = { plannedAt: f.now - 20_000, committedAt: f.now - 20_000, activatedAt: undefined };
  assert.equal(twoLooks({ row: young, pods: [] }).map(reasons), [[], []]);
});

test('R2 D3 D11 without a pod in two complete lists it is removed, not in one', () => {
  assert.equal(twoLooks({ pods: [] }).map(reasons), [[], ['pod-lost']]);
});

test('R2 two lists at nearly the same time count as one', () => {
  assert.equal(twoLooks({ pods: [] }, 9_000).map(reasons), [[], []]);
  assert.equal(twoLooks({ instances: [] }, 9_000).map(reasons), [[], []]);
});

test('R3 a member that is not healthy proves nothing by silence', () => {
  const health = new Map([['b', { state: 'unhealthy', since: 0, syncedAt: f.now } as const]]);
  assert.equal(twoLooks({ pods: [], change: { health } }).map(reasons), [[], []]);
});

test('R4 an instance linked after the feed was fetched is kept', () => {
  assert.equal(twoLooks({ row: { claimedAt: f.now + 1 }, instances: [] }).map(reasons), [[], []]);
});

test('R5 D7 an instance absent from two complete lists is removed', () => {
  assert.equal(twoLooks({ instances: [] }).map(reasons), [[], ['instance-deleted']]);
});

test('R6 a feed that was never fetched proves nothing', () => {
  const world = f.world({ chutes: [x], running: [one] });
  const feeds = world.feeds.get(f.validator);
  assert.ok(feeds);
  const unfetched = { ...feeds, instances: { fetchedAt: undefined, items: new Map() } };
  const change = { feeds: new Map([[f.validator, unfetched]]) };
  assert.equal(twoLooks({ change }).map(reasons), [[], []]);
});

test('R7 R20 absence of many at once is held back and asks', () => {
  const many = Array.from({ length: 8 }, (_, i) => f.spec(x, f.servers.B, i));
  const look = (at: number, memory: Memory) =>
    planAt(f.world({ chutes: [x], running: many, instances: [], fetchedAt: at, syncedAt: at }), at, memory);
  const second = look(f.now + f.minute, look(f.now, emptyMemory).memory);
  assert.equal(second.removals, []);
  assert.match(second.held[0] ?? '', /8 of 8 deployments look lost/);
});

test('R7 what both lists of the validator leave out is gone, however many', () => {
  const many = Array.from({ length: 8 }, (_, i) => f.spec(x, f.servers.B, i));
  const other = f.instance(f.row(f.spec(x, f.servers.C)), { configId: undefined, instanceId: f.id('elsewhere') });
  const listed = { instanceId: f.id('other miner'), chuteId: x.chuteId, computeMultiplier: 1 };
  function look(at: number, memory: Memory, globalItems: { instanceId: string }[]): Plan {
    const world = f.world({ chutes: [x], running: many, instances: [other], fetchedAt: at, syncedAt: at });
    const feeds = world.feeds.get(f.validator);
    assert.ok(feeds);
    const items = new Map(globalItems.map((one) => [one.instanceId, { ...listed, ...one }]));
    const globalInstances = { fetchedAt: at, items };
    return planAt({ ...world, feeds: new Map([[f.validator, { ...feeds, globalInstances }]]) }, at, memory);
  }
  for (const [globalItems, removed] of [
    [[listed], 8],
    [[], 0],
    [[listed, ...many.map((spec) => ({ instanceId: f.row(spec).instanceId ?? '' }))], 0],
  ] as const) {
    const second = look(f.now + f.minute, look(f.now, emptyMemory, [...globalItems]).memory, [...globalItems]);
    assert.is(second.removals.length, removed);
    assert.is(second.held.length, removed === 0 ? 1 : 0);
  }
});

test('many deployments that left live at once are held back: the branch was reset rather than reverted', () => {
  const rows = Array.from({ length: 8 }, (_, i) => f.row(f.spec(x, f.servers.B, i)));
  const result = planAt(f.world({ chutes: [x], rows }), f.now);
  assert.equal(
    result.effects.filter((effect) => effect.kind === 'mark' && effect.step === 'removedAt'),
    [],
  );
  assert.match(result.held[0] ?? '', /8 of 8 deployments are no longer on live.* and 3 more/);
});

test('R8 D12 without an instance it is given up after the configured minutes', () => {
  for (const [age, expected] of [
    [29, []],
    [30, ['launch-stuck']],
  ] as const) {
    const committedAt = f.now - age * f.minute;
    const row = { instanceId: undefined, activatedAt: undefined, claimedAt: undefined, committedAt };
    assert.equal(reasons(twoLooks({ row, instances: [] })[0]), expected);
  }
});

test('R9 D13 a failed pod is removed at once, and that chute on that server waits', () => {
  const failed = [f.pod(one, { phase: 'Failed', detail: 'Error, exit code 1' })];
  const [first] = twoLooks({ row: { activatedAt: undefined }, pods: failed });
  assert.equal(reasons(first), ['pod-failed']);
  assert.match(first.removals[0]?.because ?? '', /exit code 1/);
  assert.ok(isBackedOff(first.memory.failures, `${x.chuteId}@b`, f.now + 59_000));
});

test('R12 D4 D5 D6 the instance list links, verifies and activates what events missed', () => {
  const row = { instanceId: undefined, claimedAt: undefined, verifiedAt: undefined, activatedAt: undefined };
  const instances = [f.instance(f.row(one))];
  const kinds = twoLooks({ row: { ...row, committedAt: f.now }, instances })[0].effects.map((effect) => effect.kind);
  assert.equal(kinds, ['link-instance', 'mark-instance', 'mark-instance']);
});

test('R13 D15 an instance that nothing here knows is deleted at the second look', () => {
  const stranger = f.instance(f.row(one), { instanceId: f.id('stranger'), configId: f.id('other') });
  const [first, second] = twoLooks({ instances: [f.instance(f.row(one)), stranger] });
  assert.equal(first.effects, []);
  assert.equal(
    second.effects.map((effect) => effect.kind === 'delete-instance' && effect.instanceId),
    [f.id('stranger')],
  );
});

test('R15 an instance that turns inactive keeps its activation time', () => {
  assert.equal(twoLooks({ instances: [f.instance(f.row(one), { active: false })] })[0].effects, []);
});

test('R16 a chute missing from the feed is no statement', () => {
  assert.equal(twoLooks({ change: { chutes: new Map() } }).map(reasons), [[], []]);
});

test('D9 a chute that the validator calls gone takes its deployments along', () => {
  assert.equal(reasons(twoLooks({ change: { goneChutes: new Set([x.chuteId]) } })[0]), ['chute-deleted']);
});

test('D21 R18 only a server that neither store nor main knows is gone', () => {
  assert.equal(reasons(twoLooks({ change: { servers: [] } })[0]), []);
  const change = { servers: [], configuredServers: new Set<string>() };
  assert.equal(reasons(twoLooks({ change })[0]), ['server-deleted']);
});

test('E17 the statement that the instance is gone removes the deployment', () => {
  assert.equal(reasons(twoLooks({ row: { instanceGoneAt: f.now } })[0]), ['instance-deleted']);
});

test('E6 E8 a rolling update removes exactly the named instance, once the new version is known', () => {
  const rollingInstances = new Set([f.row(one).instanceId ?? '']);
  assert.equal(reasons(twoLooks({ change: { rollingInstances } })[0]), [], 'new version not seen yet');
  const chutes = new Map([[x.chuteId, { ...x, version: 'v2' }]]);
  assert.equal(reasons(twoLooks({ change: { rollingInstances, chutes } })[0]), ['rolling-update']);
  assert.equal(reasons(twoLooks({ change: { rollingInstances: new Set(['other']), chutes } })[0]), []);
});

test('a person may remove a deployment', () => {
  assert.equal(reasons(twoLooks({ change: { undeployRequests: new Set([one.deploymentId]) } })[0]), ['operator']);
});

test('a deployment in git without a row is adopted: the database may be lost', () => {
  const world = f.world({ chutes: [x], running: [one], rows: [], instances: [] });
  assert.equal(
    planAt(world, f.now).effects.map((effect) => effect.kind),
    ['adopt'],
  );
});

test('a row whose manifest is not in git is removed, its instance deleted, and its GPUs freed when the pod is gone', () => {
  const rows = [f.row(one)];
  const reverted = planAt(f.world({ chutes: [x], rows, pods: [f.pod(one)] }), f.now);
  assert.equal(reverted.effects, [{ kind: 'mark', step: 'removedAt', deploymentId: one.deploymentId, at: f.now }]);
  const removed = [f.row(one, { removedAt: f.now - 1000 })];
  const stillThere = planAt(f.world({ chutes: [x], rows: removed, pods: [f.pod(one)] }), f.now);
  assert.equal(
    stillThere.effects.map((effect) => effect.kind),
    ['delete-instance'],
  );
  const stillCounted = planAt(f.world({ chutes: [x], rows: removed, pods: [] }), f.now);
  assert.equal(
    stillCounted.effects.map((effect) => effect.kind),
    ['delete-instance'],
    'the pod is gone, but the validator still counts its GPUs',
  );
  const forgotten = [f.row(one, { removedAt: f.now - 1000, instanceGoneAt: f.now - 500 })];
  const gone = planAt(f.world({ chutes: [x], rows: forgotten, pods: [], instances: [] }), f.now);
  assert.equal(gone.effects, [{ kind: 'mark', step: 'goneAt', deploymentId: one.deploymentId, at: f.now }]);
});

test('a pod that was never seen keeps its GPUs for a minute after removal: Argo CD may still be creating it', () => {
  const never = { runningAt: undefined, instanceId: undefined };
  for (const [age, expected] of [
    [59_000, []],
    [61_000, ['mark']],
  ] as const) {
    const rows = [f.row(one, { ...never, removedAt: f.now - age })];
    const kinds = planAt(f.world({ chutes: [x], rows, pods: [], instances: [] }), f.now).effects.map((e) => e.kind);
    assert.equal(kinds, expected);
  }
});

test('the next deployment of a chute whose old version was just taken away is a rolling update', () => {
  const v2 = { ...x, version: 'v2' };
  const gone = f.row(one, { removedAt: f.now - 2000, goneAt: f.now - 1000, instanceGoneAt: f.now });
  const world = f.world({ chutes: [v2], rows: [gone], instances: [] });
  const result = plan(world, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory);
  assert.is(result.deploys[0]?.spec.reason, 'rolling-update');
});

test.run();
