import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { chute, deploy, drive, near, type Script, server, undeploy } from './testing.ts';

const three: Script = { 0: [deploy('c', 's'), deploy('c', 's')], 300: [deploy('c', 's')] };

function utilization(t: number, target: number): TraceRecord {
  return { t, type: 'utilization', chute_id: 'c', target_count: target, scalable: true };
}
function running(parts: Parameters<typeof drive>[0], script: Script, tick: number): string[] {
  const { deployments } = drive(parts, script, [tick]).at(tick).servers[0] ?? {};
  return deployments?.map(({ deployment_id }) => deployment_id) ?? [];
}

const scaleDowns: [string, number, number, string[]][] = [
  ['at its target', 0, 3, ['d000001', 'd000002', 'd000003']],
  ['one above with own instances only', 0, 2, ['d000002', 'd000003']],
  ['one above with as many of others: our share rounds down to none', 3, 5, ['d000001', 'd000002', 'd000003']],
  ['four above with as many of others: two, the oldest', 3, 2, ['d000003']],
  ['wanted no more', 3, 0, []],
];
for (const [what, others, target, left] of scaleDowns) {
  test(`scale-down of a chute ${what}`, () => {
    const parts = { chutes: [chute('c', { state: { others_active: others } })], records: [utilization(1000, target)] };
    assert.equal(running(parts, three, 1005), left);
  });
}

test('a scale-down is paid in full even after minutes, and starts no cool-down', () => {
  const { result, at } = drive({ records: [utilization(615, 0)] }, { 0: [deploy('c', 's')] }, [630]);
  near(result.score * 3600, 30 + 500);
  assert.equal(at(630).cooldowns, []);
});

const update: TraceRecord = {
  t: 1000,
  type: 'chute_updated',
  chute_id: 'c',
  version: 'v2',
  old_version: 'v1',
  rolling_pace_s: 300,
};

test('an update removes old instances oldest first, one per pace, all paid', () => {
  const { result, at, told } = drive({ records: [update] }, three, [1290, 1305, 1605, 1905]);
  const counts = [1290, 1305, 1605, 1905].map((tick) => at(tick).servers[0]?.deployments.length);
  assert.equal(counts, [3, 2, 1, 0]);
  assert.is(told.filter((type) => type === 'instance_deleted:old_version').length, 3);
  // Active at 115, 115 and 300 + 97; removed at 1300, 1600 and 1900. The third start was warm: 90 s.
  near(result.score * 3600, 0.3 * (100 + 100 + 90) + 1185 + 1485 + 1503);
});

test('the last old instance goes 12 h after the update at the latest', () => {
  const slow = { ...update, rolling_pace_s: 100_000 };
  const { at } = drive({ records: [slow], duration: 50000 }, { 0: [deploy('c', 's')] }, [44190, 44205]);
  assert.equal(
    [44190, 44205].map((tick) => at(tick).servers[0]?.deployments.length),
    [1, 0],
  );
});

test('an instance of the new version is not removed by the update', () => {
  const { at } = drive({ records: [update] }, { 0: [deploy('c', 's')], 1050: [deploy('c', 's')] }, [9000]);
  assert.equal(
    at(9000).servers[0]?.deployments.map(({ version }) => version),
    ['v2'],
  );
});

test('a deleted chute ends all its deployments as paid and takes no further record', () => {
  const records: TraceRecord[] = [
    { t: 615, type: 'chute_deleted', chute_id: 'c', version: 'v1' },
    { t: 620, type: 'bounty_change', chute_id: 'c', bounty_id: 'b', state: 'open' },
  ];
  const { result, at, told } = drive({ records }, { 0: [deploy('c', 's')] }, [630]);
  near(result.score * 3600, 30 + 500);
  assert.equal(at(630).chutes, []);
  assert.not(told.includes('bounty_change'));
});

test('a chute that is not live before its record appears with the version of the record', () => {
  const later = chute('c', { initial: false });
  const records: TraceRecord[] = [
    { t: 50, type: 'instance_activated', chute_id: 'c', n: 3, miner: 'm' },
    { t: 100, type: 'chute_created', chute_id: 'c', version: 'v7' },
  ];
  const { at } = drive({ chutes: [later], records }, {}, [90, 105]);
  assert.equal(at(90).chutes, []);
  assert.equal([at(105).chutes[0]?.version, at(105).chutes[0]?.active_others], ['v7', 0]);
});

test('instances of others never fall below none', () => {
  const records: TraceRecord[] = [{ t: 5, type: 'instance_deleted', chute_id: 'c', n: 9, miner: 'm' }];
  const { at } = drive({ records }, {}, [15]);
  assert.is(at(15).chutes[0]?.active_others, 0);
});

test('new boost factors replace the old ones', () => {
  const records: TraceRecord[] = [{ t: 5, type: 'em_change', chute_id: 'c', urgency: 2, manual: 1.5 }];
  const { at } = drive({ records }, {}, [15]);
  assert.is(at(15).chutes[0]?.run_multiplier, 3);
});

test('a server exists from its joining to its leaving, is charged for that time and gives an hour of notice', () => {
  const records: TraceRecord[] = [
    { t: 600, type: 'server_join', server: 'late' },
    { t: 900, type: 'server_leave_notice', server: 'late', leaving_at: 4500 },
    { t: 4500, type: 'server_leave', server: 'late' },
  ];
  const late = server('late', { join_t: 600, leave_t: 4500 });
  const { at, result } = drive({ servers: [server('s'), late], records, duration: 7200 }, {}, [585, 600, 900, 4500]);
  const names = (tick: number) => at(tick).servers.map(({ name }) => name);
  assert.equal([names(585), names(600), names(4500)], [['s'], ['s', 'late'], ['s']]);
  assert.equal([at(600).servers[1]?.leaving_at, at(900).servers[1]?.leaving_at], [null, 4500]);
  near(result.cost_usd, 8 * (2 + 3900 / 3600));
});

test('a server that was down comes back with its caches', () => {
  const records: TraceRecord[] = [
    { t: 600, type: 'server_down', server: 's', reason: '' },
    { t: 700, type: 'server_up', server: 's' },
  ];
  const { at } = drive({ records }, { 0: [deploy('c', 's')] }, [615, 705]);
  assert.equal([at(615).servers[0]?.status, at(615).servers[0]?.free_gpu_ids], ['down', []]);
  const back = at(705).servers[0];
  assert.equal([back?.status, back?.free_gpu_ids.length, back?.cached_models], ['ready', 8, ['model-c']]);
});

test('pods run on while a server is unhealthy', () => {
  const records: TraceRecord[] = [{ t: 60, type: 'server_unhealthy', server: 's', until: 600 }];
  const { at } = drive({ records }, { 0: [deploy('c', 's')] }, [120, 600]);
  assert.equal([at(120).servers[0]?.status, at(120).servers[0]?.deployments[0]?.state], ['unhealthy', 'active']);
  assert.is(at(600).servers[0]?.status, 'ready');
});

test('in an error outage activations wait until 5 s after it', () => {
  const records: TraceRecord[] = [{ t: 100, type: 'outage', until: 400, mode: 'error' }];
  const { at, result } = drive({ records, duration: 1005 }, { 0: [deploy('c', 's')] }, [405]);
  assert.is(at(405).servers[0]?.deployments[0]?.activated_at, 405);
  near(result.score * 3600, 0.3 * 390 + 600);
});

test('in an empty outage activations go on', () => {
  const records: TraceRecord[] = [{ t: 100, type: 'outage', until: 400, mode: 'empty' }];
  const { at } = drive({ records }, { 0: [deploy('c', 's')] }, [120]);
  assert.is(at(120).servers[0]?.deployments[0]?.activated_at, 115);
});

test('equal times: the record of a scale-down comes before the activation it makes one too many', () => {
  const records = [utilization(115, 0)];
  const { told } = drive({ records }, { 0: [deploy('c', 's')] });
  assert.equal(told, ['instance_deleted:activation_423']);
});

test('a cool-down that ends later is not shortened by a record', () => {
  const shared = chute('c', { state: { others_active: 1 } });
  const old: TraceRecord = {
    t: 4000,
    type: 'thrash_cooldown',
    chute_id: 'c',
    deleted_at: 0,
    cooldown_expires_at: 5000,
  };
  const { at } = drive(
    { chutes: [shared], records: [old] },
    { 0: [deploy('c', 's')], 3900: [undeploy('d000001')] },
    [4005],
  );
  assert.is(at(4005).cooldowns[0]?.cooldown_expires_at, 11100);
});

test('the oldest activation is removed first, even if it was launched last', () => {
  const servers = [server('slow', { net_mbps: 80 }), server('s')];
  const records = [utilization(9000, 1)];
  const { at } = drive({ servers, records }, { 0: [deploy('c', 'slow')], 300: [deploy('c', 's')] }, [8985, 9000]);
  const left = (tick: number) => at(tick).servers.flatMap(({ deployments }) => deployments.map((d) => d.deployment_id));
  assert.equal([left(8985), left(9000)], [['d000001', 'd000002'], ['d000001']]);
});

test.run();
