import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordOf, TraceRecord } from './format.ts';
import { chute, deploy, drive, hotkey, preempt, type Script, server, type TraceParts, undeploy } from './testing.ts';
import { refusals } from './violations.ts';

const unhealthy: TraceRecord = { t: 0, type: 'server_unhealthy', server: 's', until: 9000 };
const down: TraceRecord = { t: 0, type: 'server_down', server: 's', reason: '' };
const lock = (t: number): TraceRecord => ({ t, type: 'server_lock', server: 's', locked: true });
const first = 'd000001';

function job(changes: Partial<RecordOf<'job_created'>> = {}): TraceRecord {
  const rest = { method: 'run', gpu_count: 1, compute_multiplier: 1, duration_s: 100, open_until: 9000 };
  return { t: 0, type: 'job_created', job_id: 'one', chute_id: 'c', exclude: [], ...rest, ...changes };
}
const withJob = deploy('c', 's', { job_id: 'one' });
const launched: Script = { 0: [deploy('c', 's')] };

const cases: [string, string, TraceParts, Script][] = [
  ['bad_action', 'an unknown type', {}, { 0: [{ type: 'reboot', server: 's' }] }],
  ['bad_action', 'a missing field', {}, { 0: [{ type: 'deploy', chute_id: 'c' }] }],
  ['bad_action', 'a victim named twice', {}, { 0: [preempt([first, first], 'c', 's')] }],
  ['bad_answer', 'no list', {}, { 0: () => ({ type: 'deploy' }) }],
  ['unknown_chute', 'no such chute', {}, { 0: [deploy('x', 's')] }],
  ['unknown_chute', 'a chute not created yet', { chutes: [chute('c', { initial: false })] }, { 0: [deploy('c', 's')] }],
  ['unknown_deployment', 'undeploy of nothing', {}, { 0: [undeploy('d000009')] }],
  ['unknown_deployment', 'an unknown victim', {}, { 0: [preempt(['d000009'], 'c', 's')] }],
  [
    'victim_elsewhere',
    'a victim of another server',
    { servers: [server('s'), server('t')] },
    { ...launched, 600: [preempt([first], 'c', 't')] },
  ],
  ['server_not_ready', 'no such server', {}, { 0: [deploy('c', 'x')] }],
  [
    'server_not_ready',
    'a server not joined yet',
    { servers: [server('s', { join_t: 60 })] },
    { 0: [deploy('c', 's')] },
  ],
  ['server_not_ready', 'a server that is down', { records: [down] }, { 0: [deploy('c', 's')] }],
  ['server_unhealthy', 'deploy', { records: [unhealthy] }, { 0: [deploy('c', 's')] }],
  ['server_unhealthy', 'undeploy', { records: [{ ...unhealthy, t: 600 }] }, { ...launched, 600: [undeploy(first)] }],
  ['server_locked', 'deploy', { records: [lock(0)] }, { 0: [deploy('c', 's')] }],
  ['server_locked', 'undeploy', { records: [lock(600)] }, { ...launched, 600: [undeploy(first)] }],
  ['server_locked', 'preempt', { records: [lock(600)] }, { ...launched, 600: [preempt([first], 'c', 's')] }],
  ['job_closed', 'no such offer', {}, { 0: [withJob] }],
  [
    'job_chute_mismatch',
    'an offer of another chute',
    { chutes: [chute('c'), chute('d')], records: [job()] },
    { 0: [deploy('d', 's', { job_id: 'one' })] },
  ],
  ['job_not_allowed', 'we are excluded', { records: [job({ exclude: [hotkey] })] }, { 0: [withJob] }],
  ['job_not_allowed', 'a second attempt', { records: [job()] }, { 0: [withJob, withJob] }],
  [
    'job_only_chute',
    'a job-only chute without a job',
    { chutes: [chute('c', { cords: [] })] },
    { 0: [deploy('c', 's')] },
  ],
  [
    'validator_mismatch',
    'a server of another validator',
    { servers: [server('s', { validator: 'other' })] },
    { 0: [deploy('c', 's')] },
  ],
  ['tee_mismatch', 'a TEE chute on a plain server', { chutes: [chute('c', { tee: true })] }, { 0: [deploy('c', 's')] }],
  [
    'tee_mismatch',
    'a plain chute on a TEE server',
    { servers: [server('s', { is_tee: true })] },
    { 0: [deploy('c', 's')] },
  ],
  [
    'gpu_not_supported',
    'another GPU model',
    { servers: [server('s', { gpu_short_ref: 'a6000' })] },
    { 0: [deploy('c', 's')] },
  ],
  [
    'gpus_not_free',
    'too few GPUs',
    { chutes: [chute('c', { node_selector: { gpu_count: 9 } })] },
    { 0: [deploy('c', 's')] },
  ],
  ['gpus_not_free', 'the wrong number of GPUs', {}, { 0: [deploy('c', 's', { gpu_ids: ['s-0', 's-1'] })] }],
  ['gpus_not_free', 'a GPU in use', {}, { ...launched, 600: [deploy('c', 's', { gpu_ids: ['s-0'] })] }],
  [
    'gpus_not_free',
    'one GPU named twice',
    { chutes: [chute('c', { node_selector: { gpu_count: 2 } })] },
    { 0: [deploy('c', 's', { gpu_ids: ['s-0', 's-0'] })] },
  ],
  [
    'gpus_not_free',
    'a draining GPU',
    { servers: [server('s', { gpu_count: 1 })] },
    { ...launched, 60: [undeploy(first), deploy('c', 's')] },
  ],
  [
    'disk',
    'less than 10 GB beside the reserve',
    { servers: [server('s', { disk_gb: 29.9 })] },
    { 0: [deploy('c', 's')] },
  ],
  [
    'disk',
    'less than the job needs',
    { servers: [server('s', { disk_gb: 100 })], records: [job({ disk_gb: 81 })] },
    { 0: [withJob] },
  ],
  [
    'disk',
    'deployments hold the rest',
    { servers: [server('s', { disk_gb: 35 })] },
    { ...launched, 600: [deploy('c', 's')] },
  ],
];
for (const [code, what, parts, script] of cases) {
  test(`${code}: ${what}`, () => {
    const before = what === 'a second attempt' ? 1 : Object.keys(script).length - 1;
    const { result } = drive(parts, script);
    assert.equal(result.violations, { [code]: 1 });
    assert.equal([result.rule_violations, result.preemptions, result.launches], [1, 0, before]);
  });
}

test('every check has a case', () => {
  const tested = new Set(cases.map(([code]) => code));
  assert.equal(
    refusals.filter((code) => !tested.has(code)),
    [],
  );
});

test('checks come in the order of the rules', () => {
  const parts = { chutes: [chute('c', { tee: true, supported_gpus: [] })], records: [lock(0), { ...unhealthy }] };
  assert.equal(drive(parts, { 0: [deploy('c', 's')] }).result.violations, { server_unhealthy: 1 });
  const open = { chutes: parts.chutes };
  assert.equal(drive(open, { 0: [deploy('c', 's')] }).result.violations, { tee_mismatch: 1 });
});

test('exactly the reserve and 10 GB are enough disk', () => {
  const { result } = drive({ servers: [server('s', { disk_gb: 30 })] }, { 0: [deploy('c', 's')] });
  assert.equal([result.launches, result.rule_violations], [1, 0]);
});

test('the disk of victims counts as free', () => {
  const servers = [server('s', { disk_gb: 30 })];
  const chutes = [chute('c', { state: { others_active: 1 } }), chute('n')];
  const { result } = drive({ servers, chutes }, { ...launched, 3900: [preempt([first], 'n', 's')] });
  assert.equal([result.preemptions, result.rule_violations], [1, 0]);
});

test('default GPUs are the first free ones in index order, then those of victims', () => {
  const servers = [server('s', { gpu_count: 3 })];
  const chutes = [chute('c', { state: { others_active: 1 } }), chute('n', { node_selector: { gpu_count: 3 } })];
  const script = { 0: [deploy('c', 's', { gpu_ids: ['s-1'] })], 3900: [preempt([first], 'n', 's')] };
  const { at } = drive({ servers, chutes }, script, [3915]);
  assert.equal(at(15).servers[0]?.free_gpu_ids, ['s-0', 's-2']);
  assert.equal(at(3915).servers[0]?.deployments[0]?.gpu_ids, ['s-0', 's-2', 's-1']);
});

test('a preemption that gets along with free GPUs starts at once and lets the victims drain', () => {
  const chutes = [chute('c', { state: { others_active: 1 } }), chute('n')];
  const { at } = drive({ chutes }, { ...launched, 3900: [preempt([first], 'n', 's')] }, [3915]);
  assert.is(at(3915).servers[0]?.deployments[0]?.expected_active_at, 3900 + 115);
  assert.equal(at(3915).servers[0]?.draining, [{ gpu_id: 's-0', free_at: 3960 }]);
});

test('a refused token touches no victim and is no violation', () => {
  const chutes = [chute('c', { state: { others_active: 1 } }), chute('n', { state: { target_count: 0 } })];
  const { at, result } = drive({ chutes }, { ...launched, 3900: [preempt([first], 'n', 's')] }, [3915]);
  assert.equal(at(3915).results, [{ index: 0, result: 'denied', detail: '423' }]);
  assert.is(at(3915).servers[0]?.deployments.length, 1);
  assert.equal([result.preemptions, result.rule_violations, result.launches], [0, 0, 1]);
});

test('a refused job token leaves the attempt', () => {
  const records: TraceRecord[] = [job(), { t: 0, type: 'outage', until: 60, mode: 'error' }];
  const { at } = drive({ records }, { 0: [withJob], 60: [withJob] }, [75]);
  assert.equal([at(15).results[0]?.detail, at(75).results[0]?.detail], ['503', first]);
});

test('a group ends with its first success, and what it skips has no result', () => {
  const chutes = [chute('a', { state: { target_count: 0 } }), chute('b'), chute('c')];
  const answer = [...['a', 'b', 'c'].map((id) => deploy(id, 's', { group: 'g' })), deploy('c', 's', { group: 'h' })];
  const { at } = drive({ chutes }, { 0: answer });
  assert.equal(at(15).results, [
    { index: 0, result: 'denied', detail: '423' },
    { index: 1, result: 'ok', detail: 'd000001' },
    { index: 3, result: 'ok', detail: 'd000002' },
  ]);
});

test('actions of an answer see what those before them did', () => {
  const { result } = drive({ servers: [server('s', { gpu_count: 1 })] }, { 0: [deploy('c', 's'), deploy('c', 's')] });
  assert.equal([result.launches, result.violations], [1, { gpus_not_free: 1 }]);
});

test('launching past the target is allowed and wastes launches', () => {
  const { result } = drive(
    { chutes: [chute('c', { state: { target_count: 1 } })] },
    { 0: [deploy('c', 's'), deploy('c', 's')] },
  );
  assert.equal([result.launches, result.wasted_launches, result.rule_violations], [2, 1, 0]);
});

test.run();
