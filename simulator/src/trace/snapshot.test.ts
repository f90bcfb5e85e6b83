import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { createReplay } from './replay.ts';
import { chute, deploy, drive, hotkey, makeTrace, near, server, validator } from './testing.ts';

const open: TraceRecord = { t: 7, type: 'bounty_change', chute_id: 'c', bounty_id: 'b', state: 'open' };
const others = (t: number, n = 1): TraceRecord => ({ t, type: 'instance_activated', chute_id: 'c', n, miner: 'm' });

function sentTicks(records: TraceRecord[], duration: number): number[] {
  const run = createReplay(makeTrace({ records, duration }));
  const ticks = [];
  for (let snapshot = run.next(); snapshot; snapshot = run.next()) ticks.push(snapshot.now);
  return ticks;
}

test('ticks are sent at 0, after each change and after 300 s of silence, the last before the end', () => {
  assert.equal(sentTicks([others(100), others(120), others(500.1)], 901), [0, 105, 120, 420, 510, 810]);
  assert.equal(sentTicks([], 300), [0]);
  assert.equal(sentTicks([], 301), [0, 300]);
});

test('a fault is not visible', () => {
  assert.equal(sentTicks([{ t: 100, type: 'fault', scope: {}, until: 900, fail_after_s: 1 }], 300), [0]);
});

test('a result is a reason for the next tick', () => {
  const ticks = drive(
    { chutes: [chute('c', { state: { target_count: 0 } })], duration: 300 },
    { 0: [deploy('c', 's')] },
  ).snapshots;
  assert.equal(
    ticks.map(({ now }) => now),
    [0, 15],
  );
  assert.equal(ticks[1]?.results, [{ index: 0, result: 'denied', detail: '423' }]);
});

test('the head of a snapshot names the miner, the tick and the end', () => {
  const { snapshots } = drive({ duration: 600 }, {}, [30]);
  const { servers: _, chutes: __, ...head } = snapshots[1] ?? {};
  assert.equal(head, {
    format: 1,
    seq: 2,
    now: 30,
    end: 600,
    miner_hotkey: hotkey,
    validator,
    feeds: { status: 'ok', fetched_at: 30 },
    jobs: [],
    cooldowns: [],
    events: [],
    results: [],
  });
});

test('a server shows what is free, what drains and what runs, and no future', () => {
  const { at } = drive({}, { 0: [deploy('c', 's')] }, [120]);
  const view = at(120).servers[0];
  assert.is(view?.disk_free_gb, 1000 - 20 - 10);
  assert.is(view?.free_gpu_ids.length, 7);
  for (const hidden of ['gpu_ids', 'join_t', 'leave_t']) assert.not(Object.hasOwn(view ?? {}, hidden));
  assert.equal(view?.deployments, [
    {
      deployment_id: 'd000001',
      chute_id: 'c',
      version: 'v1',
      gpu_ids: ['s-0'],
      state: 'active',
      created_at: 0,
      instance_created_at: 15,
      expected_active_at: 115,
      activated_at: 115,
      compute_multiplier: 1,
      initial_multiplier: 1,
      preemptible: true,
      job_id: null,
      disk_gb: 10,
    },
  ]);
});

test('a chute shows its offer with the open bounty, and whether a token would be given', () => {
  const { at } = drive({ records: [open, others(30, 10)] }, {}, [15, 30]);
  const [before, after] = [at(15).chutes[0], at(30).chutes[0]];
  near(before?.effective_compute_multiplier ?? 0, 1.5);
  assert.equal(before?.bounty, { amount: 100, opened_at: 7, boost: 1.5 });
  assert.equal([before?.scalable, after?.scalable, after?.active_total], [true, false, 10]);
  near(after?.effective_compute_multiplier ?? 0, 1.5 + 23 / 10800);
});

test('values that drift are those of the last change or of the last multiple of 300 s', () => {
  const { at } = drive({ records: [open] }, {}, [15, 285, 300, 315, 600]);
  const boosts = [15, 285, 300, 315, 600].map((tick) => at(tick).chutes[0]?.bounty?.boost ?? 0);
  for (const [i, age] of [0, 0, 293, 293, 593].entries()) near(boosts[i] ?? 0, 1.5 + age / 10800);
});

test('the multiplier of a running instance drifts in the same steps', () => {
  const records: TraceRecord[] = [{ t: 200, type: 'em_change', chute_id: 'c', urgency: 3, manual: 1 }];
  const { at } = drive({ records }, { 0: [deploy('c', 's')] }, [18300, 18585]);
  const expected = 1 + 2 * ((18300 - 115 - 7200) / 21600);
  for (const tick of [18300, 18585]) near(at(tick).servers[0]?.deployments[0]?.compute_multiplier ?? 0, expected);
});

test('what did not change is the same object as before', () => {
  const { at } = drive({ servers: [server('s'), server('t')] }, { 0: [deploy('c', 's')] }, [15, 30, 45]);
  assert.is(at(30).servers[1], at(15).servers[1]);
  assert.is.not(at(30).servers[0], at(15).servers[0]);
  assert.is(at(45).chutes[0], at(30).chutes[0]);
});

for (const mode of ['empty', 'error'] as const) {
  test(`an outage of mode ${mode} keeps the chutes as they were`, () => {
    const records: TraceRecord[] = [{ t: 20, type: 'outage', until: 60, mode }, others(40, 5)];
    const { at } = drive({ records }, {}, [15, 45, 60]);
    assert.equal(at(45).feeds, { status: mode, fetched_at: 15 });
    assert.equal([at(45).chutes[0]?.active_others, at(60).chutes[0]?.active_others], [0, 5]);
    assert.equal(at(60).feeds, { status: 'ok', fetched_at: 60 });
  });
}

const offer: TraceRecord = {
  t: 30,
  type: 'job_created',
  job_id: 'one',
  chute_id: 'c',
  method: 'run',
  gpu_count: 1,
  compute_multiplier: 1,
  exclude: [],
  duration_s: 100,
  open_until: 900,
};

test('an offered job shows neither its length nor its end', () => {
  const { at } = drive({ records: [offer] }, {}, [30]);
  const shown = { job_id: 'one', chute_id: 'c', method: 'run', gpu_count: 1, compute_multiplier: 1, exclude: [] };
  assert.equal(at(30).jobs, [{ ...shown, attempted: false }]);
  assert.equal(at(30).events, [{ t: 30, type: 'job_created', ...shown }]);
});

test('an error outage hides jobs and events of the validator until it ends, not those of own servers', () => {
  const down: TraceRecord = { t: 35, type: 'server_down', server: 's', reason: 'power' };
  const records: TraceRecord[] = [{ t: 20, type: 'outage', until: 60, mode: 'error' }, offer, down];
  const { at } = drive({ records }, {}, [45, 60]);
  assert.equal(at(45).jobs, []);
  assert.equal(at(45).events, [down]);
  assert.is(at(60).jobs.length, 1);
  assert.equal(
    at(60).events.map(({ t, type }) => [t, type]),
    [[30, 'job_created']],
  );
});

test('a change of the validator in an error outage is no reason for a tick before it ends', () => {
  const records: TraceRecord[] = [{ t: 20, type: 'outage', until: 100, mode: 'error' }, others(40)];
  assert.equal(sentTicks(records, 300), [0, 30, 105]);
});

test('a disabled chute is not scalable', () => {
  const { at } = drive({ chutes: [chute('c', { state: { disabled: true } })] }, {}, [0]);
  assert.equal([at(0).chutes[0]?.disabled, at(0).chutes[0]?.scalable], [true, false]);
});

test('a job shows its offered multiplier at any age', () => {
  const chutes = [chute('c', { cords: [] })];
  const long: TraceRecord = { ...offer, t: 0, compute_multiplier: 5, duration_s: 40000 } as TraceRecord;
  const { at } = drive({ chutes, records: [long] }, { 0: [deploy('c', 's', { job_id: 'one' })] }, [30000]);
  const view = at(30000).servers[0]?.deployments[0];
  assert.equal([view?.compute_multiplier, view?.job_id, view?.preemptible], [5, 'one', false]);
});

test.run();
