import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordOf, TraceRecord } from './format.ts';
import { chute, deploy, drive, near, preempt, server, undeploy } from './testing.ts';

const first = 'd000001';

function job(id: string, changes: Partial<RecordOf<'job_created'>> = {}): TraceRecord {
  const base = { chute_id: 'j', method: 'run', gpu_count: 1, compute_multiplier: 2, exclude: [], open_until: 9000 };
  return { t: 0, type: 'job_created', job_id: id, duration_s: 1000, ...base, ...changes };
}
const jobChute = chute('j', { cords: [], public: false });

test('a cold launch has its instance after boot and pull, and is active after download, load, warm-up and proof', () => {
  const { at, result } = drive({}, { 0: [deploy('c', 's')] }, [15, 120]);
  const [pending] = at(15).servers[0]?.deployments ?? [];
  assert.is(pending?.state, 'pending');
  assert.is(pending?.instance_created_at, 15);
  assert.is(pending?.expected_active_at, 115);
  const [active] = at(120).servers[0]?.deployments ?? [];
  assert.is(active?.state, 'active');
  assert.is(active?.activated_at, 115);
  assert.is(result.cold_starts, 1);
});

test('a second launch on the server finds image and model and is no cold start', () => {
  const { at, result } = drive({}, { 0: [deploy('c', 's')], 300: [deploy('c', 's')] }, [405]);
  const second = at(405).servers[0]?.deployments[1];
  assert.is(second?.instance_created_at, 307);
  assert.is(second?.activated_at, 397);
  assert.is(result.cold_starts, 1);
});

test('a model in the cache saves its download and still needs loading', () => {
  const cached = server('s', { cached_models: ['model-c'] });
  const { at, result } = drive({ servers: [cached] }, { 0: [deploy('c', 's')] }, [120]);
  assert.is(at(120).servers[0]?.deployments[0]?.activated_at, 105);
  assert.is(result.cold_starts, 1, 'the image was missing');
});

test('a TEE chute is proved in 30 s', () => {
  const parts = { servers: [server('s', { is_tee: true })], chutes: [chute('c', { tee: true })] };
  const { at } = drive(parts, { 0: [deploy('c', 's')] }, [120]);
  assert.is(at(120).servers[0]?.deployments[0]?.activated_at, 85);
});

test('image and model are on the server from the instance and the end of the download on', () => {
  const { at } = drive({}, { 0: [deploy('c', 's')] }, [15, 30]);
  assert.equal([at(15).servers[0]?.cached_images, at(15).servers[0]?.cached_models], [['image-c'], []]);
  assert.equal(at(30).servers[0]?.cached_models, ['model-c']);
});

test('a launch on the GPUs of a victim starts 60 s later', () => {
  const chutes = [chute('c', { state: { others_active: 1 } }), chute('n')];
  const full = server('s', { gpu_count: 1 });
  const { at } = drive(
    { servers: [full], chutes },
    { 0: [deploy('c', 's')], 3900: [preempt([first], 'n', 's')] },
    [3915, 4080],
  );
  const [newcomer] = at(3915).servers[0]?.deployments ?? [];
  assert.is(newcomer?.chute_id, 'n');
  assert.is(newcomer?.created_at, 3900);
  assert.is(newcomer?.expected_active_at, 3900 + 60 + 115);
  assert.is(at(4080).servers[0]?.deployments[0]?.activated_at, 4075);
});

const faults: [string, Partial<RecordOf<'fault'>>, string[]][] = [
  ['of its chute', { scope: { chute_id: 'c' } }, ['instance_deleted:launch_failed']],
  [
    'of its version, server and GPU model',
    { scope: { version: 'v1', server: 's', gpu_short_ref: 'h100' } },
    ['instance_deleted:launch_failed'],
  ],
  ['of another version', { scope: { chute_id: 'c', version: 'v2' } }, ['instance_activated']],
  ['of another server', { scope: { chute_id: 'c', server: 'other' } }, ['instance_activated']],
  ['that is over', { scope: { chute_id: 'c' }, until: 15 }, ['instance_activated']],
  ['that begins with the launch', { scope: { chute_id: 'c' }, t: 15 }, ['instance_deleted:launch_failed']],
];
for (const [what, fault, events] of faults) {
  test(`a launch with a fault ${what}: ${events.join()}`, () => {
    const record: TraceRecord = { t: 0, type: 'fault', until: 600, fail_after_s: 50, scope: {}, ...fault };
    const { told, result } = drive({ records: [record] }, { 15: [deploy('c', 's')] });
    assert.equal(
      told.filter((type) => type.startsWith('instance')),
      events,
    );
    assert.is(result.wasted_launches, events[0] === 'instance_activated' ? 0 : 1);
  });
}

test('a fault that would strike after activation strikes just before it', () => {
  const record: TraceRecord = { t: 0, type: 'fault', scope: {}, until: 600, fail_after_s: 5000 };
  const { at, result } = drive({ records: [record] }, { 0: [deploy('c', 's')] }, [105, 120]);
  assert.is(at(105).servers[0]?.deployments.length, 1);
  assert.equal(at(120).events.at(-1), {
    t: 115,
    type: 'instance_deleted',
    deployment_id: first,
    chute_id: 'c',
    server: 's',
    job_id: null,
    reason: 'launch_failed',
    was_active: false,
  });
  assert.is(result.score, 0);
});

test('a launch that fails during the download leaves the image and not the model', () => {
  const record: TraceRecord = { t: 0, type: 'fault', scope: {}, until: 600, fail_after_s: 20 };
  const { at } = drive({ records: [record] }, { 0: [deploy('c', 's')] }, [60]);
  assert.equal([at(60).servers[0]?.cached_images, at(60).servers[0]?.cached_models], [['image-c'], []]);
});

test('a start of more than two hours after the instance fails at two hours', () => {
  const slow = chute('c', { sim: { warmup_s: 7200 } });
  const { told, at } = drive({ chutes: [slow] }, { 0: [deploy('c', 's')] }, [7200, 7215]);
  assert.is(at(7200).servers[0]?.deployments.length, 1);
  assert.is(at(7215).servers[0]?.deployments.length, 0);
  assert.equal(told, ['instance_deleted:launch_failed']);
});

const lateRefusals: [string, TraceRecord, string][] = [
  [
    'the target was reached meanwhile',
    { t: 60, type: 'instance_activated', chute_id: 'c', n: 10, miner: 'm' },
    'activation_423',
  ],
  [
    'the chute was disabled meanwhile',
    { t: 60, type: 'chute_disabled', chute_id: 'c', disabled: true },
    'activation_423',
  ],
  [
    'the version changed meanwhile',
    { t: 60, type: 'chute_updated', chute_id: 'c', version: 'v2', old_version: 'v1', rolling_pace_s: 0 },
    'old_version',
  ],
  ['the chute was deleted meanwhile', { t: 60, type: 'chute_deleted', chute_id: 'c', version: 'v1' }, 'chute_deleted'],
];
for (const [why, record, reason] of lateRefusals) {
  test(`a launch is wasted when ${why}`, () => {
    const { told, result } = drive({ records: [record] }, { 0: [deploy('c', 's')] });
    assert.ok(told.includes(`instance_deleted:${reason}`));
    assert.is(result.wasted_launches, 1);
    assert.is(result.score, 0);
  });
}

test('an instance earns 0.3 of its multiplier while it starts and all of it while active', () => {
  const { result } = drive({ duration: 1015 }, { 0: [deploy('c', 's')] });
  near(result.score * 3600, 0.3 * 100 + 900);
  near(result.gpu_hours * 3600, 900);
  near(result.busy_cost_usd * 3600, 1015);
  near(result.cost_usd * 3600, 8 * 1015);
  near(result.score_per_usd, 930 / (8 * 1015));
});

test('a launch still pending at the end counts neither as earned nor as wasted', () => {
  const { result } = drive({ duration: 105 }, { 0: [deploy('c', 's')] });
  assert.equal([result.score, result.wasted_launches, result.cold_starts], [0, 0, 0]);
  near(result.busy_cost_usd * 3600, 105);
});

test('the multiplier is frozen for two hours, eases until eight and then follows the chute', () => {
  // Urgency triples at age 18000; until the end at age 30000 that is 2700 eased seconds before and 9300 after.
  const records: TraceRecord[] = [{ t: 115 + 18000, type: 'em_change', chute_id: 'c', urgency: 3, manual: 1 }];
  const { result } = drive({ records, duration: 115 + 30000 }, { 0: [deploy('c', 's')] });
  near(result.score * 3600, 30 + (30000 - 12000) + 2700 * 1 + 9300 * 3);
});

test('a bounty enters the frozen multiplier as old as it is at activation', () => {
  const records: TraceRecord[] = [{ t: 7, type: 'bounty_change', chute_id: 'c', bounty_id: 'b', state: 'open' }];
  const { result, at } = drive({ records, duration: 1015 }, { 0: [deploy('c', 's')] }, [120]);
  near(result.score * 3600, (1.5 + 108 / 10800) * 930);
  assert.is(at(120).chutes[0]?.bounty, null);
  near(at(120).servers[0]?.deployments[0]?.initial_multiplier ?? 0, 1.51);
});

test('a job earns its offered multiplier, is claimed at its instance and ends after its time', () => {
  const { result, at, told } = drive(
    { chutes: [jobChute], records: [job('one')] },
    { 0: [deploy('j', 's', { job_id: 'one' })] },
    [0, 15, 1200],
  );
  assert.is(at(0).jobs[0]?.attempted, false);
  assert.is(at(15).jobs.length, 0);
  assert.ok(told.includes('instance_deleted:job_finished'));
  near(result.score * 3600, 2 * (0.3 * 100 + 1000));
  assert.is(at(1200).servers[0]?.deployments.length, 0);
});

test('a job multiplier does not follow the chute', () => {
  const records = [job('one', { duration_s: 30000 })];
  const { result } = drive(
    { chutes: [jobChute], records, duration: 20115 },
    { 0: [deploy('j', 's', { job_id: 'one' })] },
  );
  near(result.score * 3600, 2 * (30 + 20000));
});

test('a job withdrawn before its instance is gone, and one withdrawn after it is ours', () => {
  const early: TraceRecord = { t: 14, type: 'job_deleted', job_id: 'one', why: 'claimed_by_other' };
  const late: TraceRecord = { ...early, t: 16 };
  const script = { 0: [deploy('j', 's', { job_id: 'one' })] };
  const lost = drive({ chutes: [jobChute], records: [job('one'), early] }, script);
  assert.ok(lost.told.includes('instance_deleted:job_gone'));
  assert.is(lost.result.wasted_launches, 1);
  const kept = drive({ chutes: [jobChute], records: [job('one'), late] }, script);
  assert.ok(kept.told.includes('instance_deleted:job_finished'));
});

test('a job needs neither a target nor an enabled chute', () => {
  const closed = chute('j', { cords: [], state: { disabled: true, target_count: 0, scalable: false } });
  const { told } = drive({ chutes: [closed], records: [job('one')] }, { 0: [deploy('j', 's', { job_id: 'one' })] });
  assert.ok(told.includes('instance_activated'));
});

test('a launch that finds only its image or only its model is a cold start', () => {
  const chutes = [
    chute('a', { image: 'same' }),
    chute('b', { image: 'same' }),
    chute('c', { sim: { model_key: 'model-a' } }),
  ];
  const script = {
    0: [deploy('a', 's')],
    300: [deploy('b', 's'), deploy('c', 's')],
    600: [deploy('b', 's'), deploy('c', 's')],
  };
  const { result } = drive({ chutes }, script);
  assert.equal([result.activations, result.cold_starts], [5, 3]);
});

test('a launch that finds its model refreshes it, so a full cache evicts another', () => {
  const sim = { model_gb: 40 };
  const chutes = ['a', 'b', 'c'].map((id) => chute(id, { sim, state: { others_active: 1 } }));
  const script = {
    0: [deploy('a', 's')],
    600: [deploy('b', 's')],
    4500: [undeploy('d000001'), undeploy('d000002')],
    4800: [deploy('a', 's')],
    4815: [undeploy('d000003')],
    5100: [deploy('c', 's')],
  };
  const { at } = drive({ chutes }, script, [5085, 5400]);
  assert.equal(at(5085).servers[0]?.cached_models, ['model-a', 'model-b']);
  assert.equal(at(5400).servers[0]?.cached_models, ['model-a', 'model-c']);
});

test('the end itself is outside: what would activate then does not', () => {
  const runs = [115, 115.1].map((duration) => drive({ duration }, { 0: [deploy('c', 's')] }).result.activations);
  assert.equal(runs, [0, 1]);
});

test.run();
