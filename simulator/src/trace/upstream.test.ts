import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordOf, TraceRecord } from './format.ts';
import type { Action } from './protocol.ts';
import { chute, deploy, drive, hotkey, type Script, server, type TraceParts } from './testing.ts';
import { createStrategy } from './upstream.ts';

/** What upstream answers at a tick, after a script of other actions before. */
function answerAt(parts: TraceParts, tick = 0, before: Script = {}, seed = 1): Action[] {
  let actions: Action[] = [];
  drive(parts, {
    ...before,
    [tick]: (snapshot) => {
      actions = createStrategy(seed).act(snapshot);
      return actions;
    },
  });
  return actions;
}

function brief(actions: Action[]): string[] {
  return actions.map((action) => {
    if (action.type === 'deploy') return `${action.job_id ?? action.chute_id} on ${action.server}`;
    if (action.type === 'preempt')
      return `${action.deploy.job_id ?? action.deploy.chute_id} for ${action.victims.join()}`;
    return action.type;
  });
}

const eight = { node_selector: { gpu_count: 8 } };

test('candidates go by multiplier per GPU-dollar, best first, as one group', () => {
  const servers = [server('cheap', { gpu_short_ref: 'a6000', hourly_cost: 0.5 }), server('s', { hourly_cost: 2 })];
  const big = chute('big', { ...eight, em: { base: 8 } });
  const small = chute('small', { em: { base: 3 }, supported_gpus: ['a6000'] });
  const actions = answerAt({ servers, chutes: [big, small] });
  assert.equal(brief(actions), ['small on cheap', 'big on s']);
  assert.ok(actions.every((action) => action.type === 'deploy' && action.group === 'cycle'));
});

const skipped: [string, TraceParts][] = [
  ['that is job-only', { chutes: [chute('c', { cords: [] })] }],
  ['that is not scalable', { chutes: [chute('c', { state: { scalable: false } })] }],
  ['at its target', { chutes: [chute('c', { state: { others_active: 10 } })] }],
  ['without a multiplier', { chutes: [chute('c', { em: { base: 0 } })] }],
  ['whose only server is locked', { servers: [server('s', { locked: true })] }],
  ['whose only server is not TEE', { chutes: [chute('c', { tee: true })] }],
  ['that is not TEE on a TEE server', { servers: [server('s', { is_tee: true })] }],
  ['whose only server serves another validator', { servers: [server('s', { validator: 'other' })] }],
  ['whose only server is unhealthy', { records: [{ t: 0, type: 'server_unhealthy', server: 's', until: 90 }] }],
  ['whose only server has too little disk', { servers: [server('s', { disk_gb: 29.9 })] }],
  ['whose only server costs nothing', { servers: [server('s', { hourly_cost: 0 })] }],
  [
    'that no server holds in one piece',
    { servers: [server('s', { gpu_count: 4 }), server('t', { gpu_count: 4 })], chutes: [chute('c', eight)] },
  ],
  ['in an error outage', { records: [{ t: 0, type: 'outage', until: 90, mode: 'error' }] }],
];
for (const [what, parts] of skipped) {
  test(`a chute ${what} is not deployed`, () => assert.equal(answerAt(parts), []));
}

test('a chute with a pending deployment waits, the next best goes', () => {
  const chutes = [chute('best', { em: { base: 5 } }), chute('next')];
  assert.equal(brief(answerAt({ chutes }, 60, { 0: [deploy('best', 's')] })), ['next on s']);
  assert.equal(brief(answerAt({ chutes }, 120, { 0: [deploy('best', 's')] })), ['best on s', 'next on s']);
});

test('a refused token lets the next chute of the list go in the same cycle', () => {
  const chutes = [chute('secret', { public: false, em: { base: 5 } }), chute('open')];
  const strategy = createStrategy(1);
  const { at } = drive({ chutes }, { 0: (snapshot) => strategy.act(snapshot) });
  assert.equal(at(15).results, [
    { index: 0, result: 'denied', detail: '423' },
    { index: 1, result: 'ok', detail: 'd000001' },
  ]);
});

test('the server is one of the cheapest two, the tighter first among equal costs, by chance', () => {
  const servers = [
    server('wide', { hourly_cost: 1 }),
    server('dear', { hourly_cost: 3 }),
    server('tight', { hourly_cost: 1, gpu_count: 2 }),
  ];
  const chosen = Array.from({ length: 20 }, (_, seed) => brief(answerAt({ servers }, 0, {}, seed)).join());
  assert.equal([...new Set(chosen)].sort(), ['c on tight', 'c on wide']);
  const third = [server('widest', { gpu_count: 16 }), ...servers];
  const tighter = Array.from({ length: 20 }, (_, seed) => brief(answerAt({ servers: third }, 0, {}, seed)).join());
  assert.equal([...new Set(tighter)].sort(), ['c on tight', 'c on wide']);
  const cheaper = servers.map((spec) => (spec.name === 'wide' ? { ...spec, hourly_cost: 2 } : spec));
  const others = Array.from({ length: 20 }, (_, seed) => brief(answerAt({ servers: cheaper }, 0, {}, seed)).join());
  assert.equal([...new Set(others)].sort(), ['c on tight', 'c on wide']);
});

// Victim v: multiplier 1, active at 120 on the only GPU; newcomer n: multiplier 2, with a bounty.
const sim = { warmup_s: 25 };
const victim = chute('v', { sim, state: { others_active: 1 } });
const wanted = chute('n', { em: { base: 2 }, state: { scalable: false } });
const full = [server('s', { gpu_count: 1 })];
const filled: Script = { 0: [deploy('v', 's')] };

function bounty(t: number): TraceRecord {
  return { t, type: 'bounty_change', chute_id: 'n', bounty_id: 'b', state: 'open' };
}
function onBounty(parts: TraceParts, tick = 3855, before = filled): string[] {
  const base = { servers: full, chutes: [victim, wanted], records: [bounty(tick - 1)] };
  return brief(answerAt({ ...base, ...parts }, tick, before)).filter((line) => line.startsWith('n'));
}

test('a bounty goes to a free GPU without a victim', () => {
  assert.equal(onBounty({ servers: [server('s')] }), ['n on s']);
});

const bounties: [string, string[], TraceParts, number?][] = [
  ['a victim of more than 62 min is preempted', ['n for d000001'], {}],
  ['a victim of exactly 62 min stays', [], {}, 3840],
  ['a victim that is the last instance stays', [], { chutes: [chute('v', { sim }), wanted] }],
  [
    'a victim that earns as much as the newcomer with its bounty stays',
    [],
    { chutes: [{ ...victim, em: { ...victim.em, base: 3 } }, wanted] },
  ],
  [
    'a victim that earns a little less goes',
    ['n for d000001'],
    { chutes: [{ ...victim, em: { ...victim.em, base: 2.99 } }, wanted] },
  ],
  [
    'a victim on a locked server stays',
    [],
    { records: [bounty(3854), { t: 3850, type: 'server_lock', server: 's', locked: true }] },
  ],
  ['a job-only newcomer gets nothing', [], { chutes: [victim, chute('n', { cords: [], em: { base: 2 } })] }],
];
for (const [what, lines, parts, tick] of bounties) {
  test(`bounty: ${what}`, () => assert.equal(onBounty(parts, tick), lines));
}

test('a bounty of a chute that runs or starts already changes nothing', () => {
  const servers = [server('s', { gpu_count: 1 }), server('t', { gpu_count: 1 })];
  const chutes = [victim, chute('n', { em: { base: 2 } })];
  for (const launchedAt of [3840, 600]) {
    const before = { 0: [deploy('v', 's')], [launchedAt]: [deploy('n', 't')] };
    assert.equal(onBounty({ servers, chutes }, 3855, before), []);
  }
});

test('the poorest deployments go first, and the last instance of a chute is kept', () => {
  const servers = [server('s', { gpu_count: 3 })];
  const newcomer = chute('n', { em: { base: 9 }, node_selector: { gpu_count: 2 }, state: { scalable: false } });
  const rich = chute('r', { em: { base: 2 }, state: { others_active: 5 } });
  const two = { 0: [deploy('r', 's'), deploy('v', 's'), deploy('v', 's')] };
  assert.equal(onBounty({ servers, chutes: [victim, rich, newcomer] }, 3855, two), ['n for d000002,d000003']);
  const lonely = chute('v', { sim });
  assert.equal(onBounty({ servers, chutes: [lonely, rich, newcomer] }, 3855, two), ['n for d000002,d000001']);
});

test('two preemptions of one answer count the victims of both', () => {
  const servers = [server('s', { gpu_count: 1 }), server('t', { gpu_count: 1 })];
  const chutes = [chute('v', { sim }), wanted, { ...wanted, chute_id: 'n2' }];
  const records = [bounty(3854), { ...bounty(3854), chute_id: 'n2', bounty_id: 'b2' } as TraceRecord];
  assert.equal(onBounty({ servers, chutes, records }, 3855, { 0: [deploy('v', 's'), deploy('v', 't')] }), [
    'n for d000001',
  ]);
});

function job(t: number, changes: Partial<RecordOf<'job_created'>> = {}): TraceRecord {
  const rest = { method: 'run', gpu_count: 1, compute_multiplier: 1, exclude: [], duration_s: 100, open_until: 9000 };
  return { t, type: 'job_created', job_id: 'one', chute_id: 'j', ...rest, ...changes };
}
const jobs = chute('j', { cords: [], public: false, em: { base: 2 } });

test('a job goes to a free GPU with enough disk for it', () => {
  const servers = [server('small', { disk_gb: 100, hourly_cost: 0.1 }), server('s')];
  assert.equal(brief(answerAt({ servers, chutes: [jobs], records: [job(0, { disk_gb: 200 })] })), ['one on s']);
  assert.equal(answerAt({ servers, chutes: [jobs], records: [job(0, { disk_gb: 2000 })] }), []);
});

test('a job from which we are excluded is left alone, and so is one withdrawn at once', () => {
  assert.equal(answerAt({ chutes: [jobs], records: [job(0, { exclude: [hotkey] })] }), []);
  const gone: TraceRecord = { t: 0, type: 'job_deleted', job_id: 'one', why: '' };
  assert.equal(answerAt({ chutes: [jobs], records: [job(0), gone] }), []);
});

test('a job preempts like a bounty', () => {
  const actions = answerAt({ servers: full, chutes: [victim, jobs], records: [job(3854)] }, 3855, filled);
  assert.equal(brief(actions), ['one for d000001']);
});

test('a new chute gets its first instance at once, before the cycle picks another', () => {
  const chutes = [chute('rich', { em: { base: 9 } }), chute('new', { initial: false })];
  const records: TraceRecord[] = [{ t: 10, type: 'chute_created', chute_id: 'new', version: 'v1' }];
  assert.equal(brief(answerAt({ chutes, records }, 15)), ['new on s', 'rich on s']);
});

test('actions of one answer never want the same GPU', () => {
  const chutes = [chute('rich', { em: { base: 9 } }), jobs];
  assert.equal(brief(answerAt({ servers: full, chutes, records: [job(0)] })), ['one on s']);
});

test('a job does not preempt while another of its chute starts', () => {
  const records = [job(0), job(3854, { job_id: 'two' })];
  const servers = [server('s', { gpu_count: 1 }), server('t', { gpu_count: 1 })];
  const slow = chute('j', { cords: [], em: { base: 2 }, sim: { warmup_s: 6000 } });
  const before = { 0: [deploy('v', 's'), deploy('j', 't', { job_id: 'one' })] };
  assert.equal(brief(answerAt({ servers, chutes: [victim, slow], records }, 3855, before)), []);
});

test.run();
