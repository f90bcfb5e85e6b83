// gepetto.md 5.2, 9.5 and 9.6, as far as reconcile.test.ts does not hold them: what drifts, and what only looks so.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gpuEnvId } from '../../domain/ids.ts';
import { seededRandom } from '../../domain/random.ts';
import * as f from '../fixtures.ts';
import { createOfferBook } from '../offers.ts';
import { type Plan, plan } from '../plan.ts';
import { versionKey } from '../statements.ts';
import { emptyMemory, type World } from '../world.ts';
import { createModel } from './model.ts';

const x = f.chute('x');
const one = f.spec(x, f.servers.B);

function planned(world: World, at = f.now): Plan {
  return plan(world, f.policy(), { now: () => at }, seededRandom(1), emptyMemory);
}

function reasons(world: World, at = f.now): string[] {
  return planned(world, at).removals.map(({ reason, spec }) => `${reason} ${spec.chuteName} ${spec.version}`);
}

function feedsWith(world: World, change: object): World {
  const feeds = world.feeds.get(f.validator);
  assert.ok(feeds);
  return { ...world, feeds: new Map([[f.validator, { ...feeds, ...change }]]) };
}

function rollingUpdate(world: World): World {
  const items = new Map([[x.chuteId, { chuteId: x.chuteId, oldVersion: 'v1', newVersion: 'v2' }]]);
  return feedsWith(world, { rollingUpdates: { fetchedAt: f.now, items } });
}

const running = f.world({ chutes: [x], running: [one] });

test('D1 D2 W16 R21 a new definition, image or version ends nothing; the next deployment has it', () => {
  for (const change of [
    { version: 'v2' },
    { image: 'user/x:2' },
    { chutesVersion: '0.7.0' },
    { refStr: 'app:other' },
  ]) {
    const world = f.world({ chutes: [{ ...x, ...change }], running: [one] });
    assert.equal(reasons(world), []);
    assert.is(planned(world).deploys[0]?.spec.version, change.version ?? 'v1');
  }
});

test('D10 libraries of the time before launch tokens are not run, and nothing looks for their objects', () => {
  assert.equal(planned(f.world({ chutes: [{ ...x, chutesVersion: '0.2.9' }] })).deploys, []);
});

test('R10 D13 an active instance whose pod ended has five minutes to be verified', () => {
  const pods = [f.pod(one, { phase: 'Failed' })];
  for (const [seconds, expected] of [
    [299, []],
    [300, ['pod-failed x v1']],
  ] as const) {
    const rows = [f.row(one, { verifiedAt: undefined, committedAt: f.now - seconds * 1000 })];
    assert.equal(reasons(f.world({ chutes: [x], running: [one], rows, pods })), expected);
  }
});

test('D24 a pod that ended is removed although its instance was active and verified', () => {
  assert.equal(reasons(f.world({ chutes: [x], running: [one], pods: [f.pod(one, { phase: 'Failed' })] })), [
    'pod-failed x v1',
  ]);
});

test('R11 D14 a member that cannot be read proves nothing, whatever its last picture was', () => {
  const rows = [f.row(one, { activatedAt: undefined, committedAt: f.now - 20 * f.minute })];
  const world = f.world({ chutes: [x], running: [one], rows, pods: [f.pod(one, { phase: 'Failed' })] });
  const health = new Map([['b', { state: 'unhealthy' as const, since: f.now, syncedAt: f.now }]]);
  assert.equal(reasons({ ...world, health }), []);
});

test('R14 D16 W20 a pod that neither git nor the store knows keeps its GPUs until it is gone', () => {
  const stray = f.spec(f.chute('stray', { gpuCount: 8 }), f.servers.B);
  const world = f.world({ chutes: [x], pods: [f.pod(stray)] });
  assert.equal(planned(world).deploys, []);
  assert.is(planned({ ...world, pods: [] }).deploys.length, 1);
});

test('R16 D9 D19 under a rolling update even a chute that is gone keeps its deployments', () => {
  const gone = { ...running, goneChutes: new Set([x.chuteId]) };
  assert.equal(reasons(gone), ['chute-deleted x v1']);
  assert.equal(reasons(rollingUpdate(gone)), []);
});

test('D17 D18 W4 a GPU that only one side knows changes nothing', () => {
  const elsewhere = { fetchedAt: f.now, items: new Map([[gpuEnvId('0'.repeat(32)), 'unknown here']]) };
  assert.equal(reasons(feedsWith(running, { nodes: elsewhere })), []);
});

test('D20 a chute that is new in the feed is placed, a job-only one is not', () => {
  assert.is(planned(f.world({ chutes: [x] })).deploys.length, 1);
  assert.is(planned(f.world({ chutes: [{ ...x, jobOnly: true }] })).deploys.length, 0);
});

test('D22 a member that the inventory does not know yet takes nothing and loses nothing', () => {
  const world = f.world({ chutes: [x], running: [one] }, { servers: [] });
  const result = planned(world);
  assert.equal([result.removals, result.deploys], [[], []]);
});

test('gpu_deleted: a GPU taken out of the inventory takes its deployment along', () => {
  const server = { ...f.servers.B, gpus: f.servers.B.gpus.slice(1) };
  const first = f.spec(x, { ...f.servers.B, gpus: f.servers.B.gpus });
  assert.equal(reasons(f.world({ chutes: [x], servers: [server], running: [first] })), ['server-deleted x v1']);
});

test('R19 W4 all members silent and no feed answering: nothing is removed, however long it lasts', async () => {
  const servers = Array.from({ length: 10 }, (_, i) => f.server(`s${i}`, { count: 1 }));
  const chutes = servers.map((_, i) => f.chute(`c${i}`));
  const model = createModel({ servers, chutes });
  await model.pass();
  model.settle();
  assert.is(model.live().size, 10);
  model.staleFeeds(true);
  for (const { name } of servers) model.silent.set(name, model.now());
  for (let i = 0; i < 20; i++) {
    model.wait(30 * f.minute);
    await model.pass();
  }
  assert.is(model.live().size, 10);
});

test('W2 D7 an instance linked after the feeds were fetched survives feeds that do not have it', async () => {
  const model = createModel({ servers: [f.server('b', { count: 1 })], chutes: [x] });
  await model.pass();
  model.staleFeeds(true);
  model.settle();
  for (let i = 0; i < 5; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.is(model.live().size, 1);
});

test('R23 of two deployments on one GPU the one with the older pod stays', () => {
  const two = { ...f.spec(f.chute('y'), f.servers.B, 0), deploymentId: f.id('second') };
  const both = (firstAt: number, secondAt: number) =>
    f.world({
      chutes: [x, f.chute('y')],
      running: [one, two],
      pods: [f.pod(one, { createdAt: firstAt }), f.pod(two, { createdAt: secondAt })],
    });
  assert.equal(reasons(both(1, 2)), ['preempted y v1']);
  assert.equal(reasons(both(2, 1)), ['preempted x v1']);
  const withoutPods = { ...both(1, 2), pods: [f.pod(two, { createdAt: f.now })] };
  assert.equal(reasons(withoutPods), ['preempted x v1'], 'a running pod before none');
});

test('W15 D5 D6 times come from the validator, not from when they were heard of', () => {
  const claimed = { verifiedAt: undefined, activatedAt: undefined };
  const rows = [f.row(one, claimed)];
  const instances = [f.instance(f.row(one), { verifiedAt: 7, activatedAt: 9 })];
  const { effects } = planned(f.world({ chutes: [x], running: [one], rows, instances }));
  assert.equal(
    effects.flatMap((effect) => (effect.kind === 'mark-instance' ? [`${effect.step} ${effect.at}`] : [])),
    ['verifiedAt 7', 'activatedAt 9'],
  );
});

test('W19 a launch whose image needs longer on that line than the usual limit gets the time, within the life of its token', () => {
  const sites = (netMbps: number) => new Map([['b', { netMbps }]]);
  const market = new Map([[x.chuteId, { imageGb: 60 }]]);
  const launching = { instanceId: undefined, claimedAt: undefined, activatedAt: undefined };
  const at = (minutes: number) => [f.row(one, { ...launching, committedAt: f.now - minutes * f.minute })];
  for (const [mbps, minutes, expected] of [
    [10_000, 30, ['launch-stuck x v1']],
    [300, 30, []],
    [300, 80, ['launch-stuck x v1']],
    [1, 109, []],
    [1, 110, ['launch-stuck x v1']],
  ] as const) {
    const world = f.world({ chutes: [x], running: [one], rows: at(minutes), instances: [] });
    assert.equal(
      reasons({ ...world, market, sites: sites(mbps) }),
      expected,
      `${mbps} Mbit/s after ${minutes} minutes`,
    );
  }
});

test('a claim that is not active two hours later is given up: the validator takes no activation then', () => {
  for (const [minutes, expected] of [
    [119, []],
    [120, ['launch-stuck x v1']],
  ] as const) {
    const claimedAt = f.now - minutes * f.minute;
    const rows = [f.row(one, { claimedAt, activatedAt: undefined, committedAt: claimedAt - 20 * f.minute })];
    assert.equal(reasons(f.world({ chutes: [x], running: [one], rows })), expected);
  }
});

test('E1 a version that has a launch on its way is not launched again', () => {
  const rows = [f.row(one, { activatedAt: undefined })];
  assert.equal(planned(f.world({ chutes: [x], running: [one], rows })).deploys, []);
});

test('E2 S6 a job-only chute is known and not deployed', () => {
  assert.equal(planned(f.world({ chutes: [{ ...x, jobOnly: true }] })).deploys, []);
});

test('E4 an activation that was heard before the commit was noted stays', () => {
  const rows = [f.row(one, { committedAt: undefined })];
  const { effects, removals } = planned(f.world({ chutes: [x], running: [one], rows }));
  assert.equal(removals, []);
  assert.equal(effects, [{ kind: 'mark', step: 'committedAt', deploymentId: one.deploymentId, at: f.now }]);
});

test('E5 a second activation keeps the time of the first', async () => {
  const model = createModel({ servers: [f.server('b', { count: 1 })], chutes: [x] });
  await model.pass();
  model.settle();
  const [row] = model.rows.values();
  const first = row?.activatedAt;
  model.wait(f.minute);
  for (const [id, instance] of model.instances) model.instances.set(id, { ...instance, active: false });
  model.activate();
  await model.pass();
  assert.ok(first);
  assert.is([...model.rows.values()][0]?.activatedAt, first);
});

test('E10 a deleted version goes, the version that took its place stays', () => {
  const leftover = f.spec({ ...x, version: 'v1' }, f.servers.B, 0);
  const current = f.spec({ ...x, version: 'v2' }, f.servers.B, 1);
  const world = f.world({ chutes: [{ ...x, version: 'v2' }], running: [leftover, current] });
  const gone = { ...world, goneChutes: new Set([versionKey(x.chuteId, 'v1')]) };
  assert.equal(reasons(gone), ['chute-deleted x v1']);
  assert.equal(reasons({ ...world, goneChutes: new Set([versionKey(x.chuteId, 'v0')]) }), []);
  assert.equal(reasons(rollingUpdate(gone)), [], 'the validator ends the old version of a rolling update itself');
});

test('D8 R17 a rental goes with its chute, not with its version', () => {
  const rental = f.spec(x, f.servers.B, 0, { jobId: f.id('job'), version: 'v0' });
  const world = f.world({ chutes: [x], running: [rental] });
  assert.equal(reasons({ ...world, goneChutes: new Set([versionKey(x.chuteId, 'v0')]) }), []);
  assert.equal(reasons({ ...world, goneChutes: new Set([x.chuteId]) }), ['chute-deleted x v0']);
});

const chutes = new Map([[x.chuteId, x]]);

test('E11 both spellings of the list of excluded miners are read', () => {
  for (const key of ['exclude', 'excluded'] as const) {
    const book = createOfferBook();
    book.offer({ job_id: 'j', chute_id: x.chuteId, disk_gb: 10, [key]: [f.miner] }, f.now);
    assert.equal(
      planned({ ...running, jobs: book.open(f.now, chutes) }).deploys.filter(({ spec }) => spec.jobId),
      [],
    );
  }
});

test('an offer is heard once, ends once, and is taken for the terms of its chute where it says none', () => {
  const book = createOfferBook();
  const offer = { job_id: 'j', chute_id: x.chuteId, disk_gb: 10 };
  book.offer(offer, f.now);
  book.offer({ ...offer, compute_multiplier: 4 }, f.now + 1);
  const [known] = book.open(f.now + 1, chutes).values();
  assert.equal([known?.gpuCount, known?.computeMultiplier, known?.attempted], [1, 4, false]);
  assert.is(book.open(f.now, new Map()).size, 0, 'of a chute that nobody knows');
  assert.is(book.open(f.now + 3_600_000, chutes).size, 0, 'too old');
  book.offer(offer, f.now);
  book.end('j', f.now + 1);
  book.offer(offer, f.now + 2);
  assert.is(book.open(f.now + 2, chutes).size, 0, 'a late copy does not bring it back');
});

test.run();
