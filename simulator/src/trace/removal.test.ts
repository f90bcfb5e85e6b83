import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { chute, deploy, drive, near, preempt, type Script, server, undeploy } from './testing.ts';

// With 25 s warm-up a launch at 0 is active at 120, after 105 s from its instance.
const startup = 0.3 * 105;
const sim = { warmup_s: 25 };
const first = 'd000001';
const shared = chute('c', { sim, state: { others_active: 1 } });
const alone = chute('c', { sim });
const launched: Script = { 0: [deploy('c', 's')] };
const openBounty: TraceRecord = { t: 0, type: 'bounty_change', chute_id: 'c', bounty_id: 'b', state: 'open' };

test('a public instance removed after an hour is paid in full', () => {
  const { result } = drive({ chutes: [shared] }, { ...launched, 3720: [undeploy(first)] });
  near(result.score * 3600, startup + 3600);
  assert.is(result.rule_violations, 0);
});

test('a public instance removed within its first hour earns nothing and breaks a rule', () => {
  const { result } = drive({ chutes: [shared] }, { ...launched, 3705: [undeploy(first)] });
  assert.is(result.score, 0);
  assert.equal(result.violations, { young_removed: 1 });
});

test('the last instance of a chute removed earns a tenth without its bounty and breaks a rule', () => {
  const { result } = drive({ chutes: [alone], records: [openBounty] }, { ...launched, 3720: [undeploy(first)] });
  near(result.score * 3600, 0.1 * (startup + 3600));
  assert.equal(result.violations, { last_instance_removed: 1 });
});

test('a private instance removed earns nothing at any age and breaks a rule', () => {
  const secret = chute('c', { sim, public: false, state: { others_active: 1 } });
  const { result } = drive({ chutes: [secret], records: [openBounty] }, { ...launched, 7200: [undeploy(first)] });
  assert.is(result.activations, 1);
  assert.is(result.score, 0);
  assert.equal(result.violations, { private_removed: 1 });
});

test('a job removed earns nothing and breaks a rule, pending or active', () => {
  const chutes = [chute('c', { cords: [] })];
  const offer = (id: string): TraceRecord => {
    const rest = {
      method: 'run',
      gpu_count: 1,
      compute_multiplier: 1,
      exclude: [],
      duration_s: 9000,
      open_until: 9000,
    };
    return { t: 0, type: 'job_created', job_id: id, chute_id: 'c', ...rest };
  };
  const { result } = drive(
    { chutes, records: [offer('one'), offer('two')] },
    {
      0: [deploy('c', 's', { job_id: 'one' }), deploy('c', 's', { job_id: 'two' })],
      60: [undeploy(first)],
      6000: [undeploy('d000002')],
    },
  );
  assert.is(result.score, 0);
  assert.equal(result.violations, { job_removed: 2 });
});

test('a pending public instance is removed without breaking a rule, as a wasted launch without cool-down', () => {
  const { result, at } = drive({ chutes: [alone] }, { ...launched, 60: [undeploy(first)] }, [75]);
  assert.equal([result.score, result.rule_violations, result.wasted_launches], [0, 0, 1]);
  assert.equal(at(75).cooldowns, []);
});

test('removed GPUs drain for 60 s', () => {
  const { at } = drive({ chutes: [shared] }, { ...launched, 3720: [undeploy(first)] }, [3765, 3780]);
  assert.equal(at(3765).servers[0]?.draining, [{ gpu_id: 's-0', free_at: 3780 }]);
  assert.is(at(3765).servers[0]?.free_gpu_ids.length, 7);
  assert.equal(at(3780).servers[0]?.draining, []);
  assert.is(at(3780).servers[0]?.free_gpu_ids.length, 8);
});

test('removing an own active instance starts a cool-down of two hours for its chute', () => {
  const { at } = drive({ chutes: [shared] }, { ...launched, 3720: [undeploy(first)] }, [3735, 10905, 10920]);
  assert.equal(at(3735).cooldowns, [{ chute_id: 'c', deleted_at: 3720, cooldown_expires_at: 10920 }]);
  assert.is(at(10905).cooldowns.length, 1);
  assert.is(at(10920).cooldowns.length, 0);
});

test('an activation in a cool-down gets neither urgency nor bounty, and the bounty is used up', () => {
  const records: TraceRecord[] = [
    { t: 0, type: 'thrash_cooldown', chute_id: 'c', deleted_at: -100, cooldown_expires_at: 7100 },
    openBounty,
  ];
  const urgent = chute('c', { sim, state: { urgency: 4 } });
  const { result, at } = drive({ chutes: [urgent], records, duration: 1020 }, launched, [120]);
  near(result.score * 3600, startup + 900);
  assert.is(at(120).chutes[0]?.bounty, null);
});

test('an activation just after the cool-down gets both factors', () => {
  const records: TraceRecord[] = [
    { t: 0, type: 'thrash_cooldown', chute_id: 'c', deleted_at: -7080, cooldown_expires_at: 120 },
    openBounty,
  ];
  const urgent = chute('c', { sim, state: { urgency: 4 } });
  const { result } = drive({ chutes: [urgent], records, duration: 1020 }, launched);
  near(result.score * 3600, 4 * (1.5 + 120 / 10800) * (startup + 900));
});

for (const type of ['server_down', 'server_leave'] as const) {
  for (const [t, alive] of [
    [3719, 0],
    [3720, 3600],
  ] as const) {
    test(`${type} after ${t - 120} s pays ${alive === 0 ? 'nothing' : 'all'}, frees GPUs at once and starts no cool-down`, () => {
      const record: TraceRecord =
        type === 'server_down' ? { t, type, server: 's', reason: '' } : { t, type, server: 's' };
      const up: TraceRecord = { t: t + 1, type: 'server_up', server: 's' };
      const { result, at } = drive({ chutes: [alone], records: [record, up] }, launched, [3735]);
      near(result.score * 3600, alive === 0 ? 0 : startup + alive);
      assert.equal(at(3735).cooldowns, []);
      assert.equal([result.rule_violations, result.activations], [0, 1]);
      assert.equal(at(3735).servers[0]?.free_gpu_ids.length, type === 'server_down' ? 8 : undefined);
    });
  }
}

test('a preemption counts its victims and pays them like any removal', () => {
  const { result } = drive(
    {
      servers: [server('s', { gpu_count: 2 })],
      chutes: [shared, chute('n', { node_selector: { gpu_count: 2 } })],
      duration: 3735,
    },
    { 0: [deploy('c', 's'), deploy('c', 's')], 3720: [preempt([first, 'd000002'], 'n', 's')] },
  );
  assert.is(result.preemptions, 2);
  near(result.score * 3600, 2 * (startup + 3600));
});

test('victims of one preemption are judged one after the other: the second may be the last instance', () => {
  const wide = chute('n', { node_selector: { gpu_count: 2 } });
  const { result } = drive(
    { servers: [server('s', { gpu_count: 2 })], chutes: [alone, wide], duration: 3735 },
    { 0: [deploy('c', 's'), deploy('c', 's')], 3720: [preempt([first, 'd000002'], 'n', 's')] },
  );
  near(result.score * 3600, 1.1 * (startup + 3600));
  assert.equal(result.violations, { last_instance_removed: 1 });
});

test.run();
