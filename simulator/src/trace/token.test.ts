import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { chute, deploy, drive, type Script, server, type TraceParts, undeploy } from './testing.ts';

function bounty(t: number, id: string, state: 'open' | 'closed' = 'open'): TraceRecord {
  return { t, type: 'bounty_change', chute_id: 'c', bounty_id: id, state };
}
function others(t: number, n: number, bountyId?: string): TraceRecord {
  return { t, type: 'instance_activated', chute_id: 'c', n, miner: 'm', ...(bountyId && { bounty_id: bountyId }) };
}

/** Result of the last deploy of a script, at tick 600 unless told. */
function answerTo(parts: TraceParts, script: Script = { 600: [deploy('c', 's')] }): string {
  const last = Math.max(...Object.keys(script).map(Number));
  return (
    drive(parts, script)
      .at(last + 15)
      .results.at(-1)?.detail ?? 'nothing'
  );
}

const outage = (mode: 'error' | 'empty'): TraceRecord => ({ t: 500, type: 'outage', until: 700, mode });
const secret = (state = {}) => chute('c', { public: false, state });
const updated: TraceRecord = {
  t: 60,
  type: 'chute_updated',
  chute_id: 'c',
  version: 'v2',
  old_version: 'v1',
  rolling_pace_s: 9e9,
};

const cases: [string, TraceParts, string][] = [
  ['a public chute below its target', {}, 'd000001'],
  ['an outage of mode error', { records: [outage('error')] }, '503'],
  ['a disabled chute', { chutes: [chute('c', { state: { disabled: true } })] }, '423'],
  ['a chute that is not scalable', { chutes: [chute('c', { state: { scalable: false } })] }, '423'],
  ['a chute at its target', { chutes: [chute('c', { state: { others_active: 10 } })] }, '423'],
  ['a private chute without a bounty', { chutes: [secret()] }, '423'],
  ['a private chute with a bounty', { chutes: [secret()], records: [bounty(300, 'b')] }, 'd000001'],
  ['a private chute at its target', { chutes: [secret()], records: [bounty(300, 'b'), others(400, 10)] }, '423'],
];
for (const [what, parts, detail] of cases) {
  test(`a token for ${what}: ${detail}`, () => assert.is(answerTo(parts), detail));
}

test('an outage of mode empty refuses no token', () => {
  const { snapshots } = drive({ records: [outage('empty')] }, { 600: [deploy('c', 's')] });
  assert.is(snapshots.find(({ now }) => now === 615)?.results[0]?.result, 'ok');
});

test('a job gets its token even at the target, but not in an error outage', () => {
  const full = chute('c', { cords: [], state: { target_count: 0 } });
  const rest = { method: 'run', gpu_count: 1, compute_multiplier: 1, exclude: [], duration_s: 100, open_until: 9000 };
  const offer: TraceRecord = { t: 0, type: 'job_created', job_id: 'one', chute_id: 'c', ...rest };
  const script = { 600: [deploy('c', 's', { job_id: 'one' })] };
  assert.is(answerTo({ chutes: [full], records: [offer] }, script), 'd000001');
  assert.is(answerTo({ chutes: [full], records: [offer, outage('error')] }, script), '503');
});

test('while rolling, own instances of the old version do not count against the target', () => {
  const narrow = chute('c', { state: { target_count: 1 } });
  const script: Script = { 0: [deploy('c', 's')], 300: [deploy('c', 's')] };
  assert.is(answerTo({ chutes: [narrow], records: [{ ...updated, t: 200 }] }, script), 'd000002');
  assert.is(answerTo({ chutes: [narrow] }, script), '423');
});

test('a chute rolls for 12 h after an update', () => {
  const { at } = drive({ records: [{ ...updated, t: 200 }], duration: 50000 }, {}, [195, 210, 43395, 43410]);
  const rolling = [195, 210, 43395, 43410].map((tick) => at(tick).chutes[0]?.rolling);
  assert.equal(rolling, [false, true, true, false]);
});

test('ten own ends of which three are bad refuse tokens for private chutes, nine or two bad do not', () => {
  const parts = {
    chutes: [chute('c', { public: false }), chute('p', { state: { others_active: 5, target_count: 50 } })],
    records: [bounty(4500, 'b')],
  };
  const ids = Array.from({ length: 10 }, (_, i) => `d${String(i + 1).padStart(6, '0')}`);
  const launch = { 0: ids.slice(0, 5).map(() => deploy('p', 's')), 15: ids.slice(5).map(() => deploy('p', 't')) };
  const servers = [server('s'), server('t')];
  const run = (bad: number, total: number) =>
    answerTo(
      { ...parts, servers },
      {
        ...launch,
        1200: ids.slice(0, bad).map(undeploy),
        4500: ids.slice(bad, total).map(undeploy),
        4800: [deploy('c', 's')],
      },
    );
  assert.is(run(3, 10), '403');
  assert.is(run(2, 10), 'd000011');
  assert.is(run(3, 9), 'd000011');
});

const openings: [string, TraceParts, boolean][] = [
  ['below its target', {}, true],
  ['at its target', { records: [others(100, 10)] }, false],
  ['at its target while rolling', { records: [updated, others(100, 10)] }, true],
  ['that is disabled', { records: [{ t: 100, type: 'chute_disabled', chute_id: 'c', disabled: true }] }, false],
  ['599 s after a claim', { records: [bounty(0, 'a'), bounty(1.5, 'a', 'closed')] }, false],
  ['600 s after a claim', { records: [bounty(0, 'a'), bounty(0.5, 'a', 'closed')] }, true],
  ['after a bounty of another id closed', { records: [bounty(1, 'x', 'closed')] }, true],
];
for (const [what, parts, opens] of openings) {
  test(`a bounty of a chute ${what} ${opens ? 'opens' : 'is void'}`, () => {
    const { at } = drive({ ...parts, records: [...(parts.records ?? []), bounty(600.5, 'b')] }, {}, [615]);
    assert.is(at(615).chutes[0]?.bounty?.opened_at, opens ? 600.5 : undefined);
  });
}

test('a closing record closes the open bounty', () => {
  const { at } = drive({ records: [bounty(0, 'a'), bounty(40, 'a', 'closed')] }, {}, [30, 45]);
  assert.is(at(30).chutes[0]?.bounty?.opened_at, 0);
  assert.is(at(45).chutes[0]?.bounty, null);
});

test('an own claim makes the bounty void for others and blocks the next one for 600 s', () => {
  const records = [bounty(0, 'a'), others(300, 2, 'a'), others(400, 1)];
  // Claimed by the activation at 115.
  for (const [t, openedAt] of [
    [714, undefined],
    [715, 715],
  ] as const) {
    const { at } = drive({ records: [...records, bounty(t, 'b')] }, { 0: [deploy('c', 's')] }, [420, 720]);
    assert.equal([at(420).chutes[0]?.active_others, at(420).chutes[0]?.active_own], [1, 1]);
    assert.is(at(720).chutes[0]?.bounty?.opened_at, openedAt);
  }
});

test('only the first own activation takes the bounty', () => {
  const { at } = drive({ records: [bounty(0, 'a')] }, { 0: [deploy('c', 's'), deploy('c', 's')] }, [120]);
  const multipliers = at(120).servers[0]?.deployments.map(({ initial_multiplier }) => initial_multiplier);
  assert.equal(multipliers, [1.5 + 115 / 10800, 1]);
});

test('private instances removed by us count as bad ends at any age', () => {
  const secrets = chute('p', { public: false, state: { target_count: 50 } });
  const parts = { servers: [server('s'), server('t')], chutes: [chute('c', { public: false }), secrets] };
  const records = [bounty(9000, 'b'), { ...bounty(0, 'p'), chute_id: 'p' } as TraceRecord];
  const ids = Array.from({ length: 10 }, (_, i) => `d${String(i + 1).padStart(6, '0')}`);
  const launches = { 0: [...ids.slice(0, 5).map(() => deploy('p', 's')), ...ids.slice(5).map(() => deploy('p', 't'))] };
  const script = { ...launches, 9000: ids.map(undeploy), 9300: [deploy('c', 's')] };
  assert.is(answerTo({ ...parts, records }, script), '403');
});

test('a job is no instance of its chute: it fills no target', () => {
  const rest = { method: 'run', gpu_count: 1, compute_multiplier: 1, exclude: [], duration_s: 9000, open_until: 9000 };
  const offer: TraceRecord = { t: 0, type: 'job_created', job_id: 'one', chute_id: 'c', ...rest };
  const parts = { chutes: [chute('c', { state: { target_count: 1 } })], records: [offer] };
  assert.is(answerTo(parts, { 0: [deploy('c', 's', { job_id: 'one' })], 600: [deploy('c', 's')] }), 'd000002');
});

test.run();
