// What people and programs get to see: every format of lists, status and why; widths, colours, order.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { prepare, type TestContext } from './testing/context.ts';
import { chuteId, deployment, deploymentId, server } from './testing/shapes.ts';
import { miner, sendJson, type Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('shown');
prepare(test);

const decidedAt = Date.UTC(2026, 0, 31, 12);

const status = {
  now: decidedAt + 60_000,
  hotkey: miner.address,
  mode: 'active',
  configCommit: 'c'.repeat(40),
  liveCommit: 'd'.repeat(40),
  validators: [{ hotkey: '5FHneW46', connected: false, feedsAt: decidedAt }],
  servers: [
    {
      name: 'gpu-10',
      gpuShortRef: 'a6000',
      gpus: 4,
      gpusUsed: 0,
      gpusVerified: 4,
      costPerHour: 2,
      health: 'unknown',
      locked: true,
    },
    {
      name: 'gpu-2',
      gpuShortRef: 'h100_sxm',
      gpus: 8,
      gpusUsed: 3,
      gpusVerified: 8,
      costPerHour: 12,
      health: 'healthy',
      locked: false,
    },
  ],
  deployments: [
    { deploymentId, chuteId, chuteName: 'llama', server: 'gpu-2', phase: 'active' },
    {
      deploymentId: '3f1c0000-0000-4000-8000-000000000000',
      chuteId,
      chuteName: 'llama',
      server: 'gpu-2',
      phase: 'running',
    },
    {
      deploymentId: 'aaaa0000-0000-4000-8000-000000000000',
      chuteId: 'c2',
      chuteName: 'gpu-chute',
      server: 'gpu-2',
      phase: 'gone',
    },
  ],
  decisions: [
    { at: decidedAt, kind: 'deploy', chuteName: 'llama', server: 'gpu-2', reason: 'bounty', because: 'value 2' },
  ],
  held: ['30 removals wait for a person'],
};

const decision = {
  decision_id: 'decision-1',
  decided_at: new Date(decidedAt).toISOString(),
  kind: 'deploy',
  reason: 'bounty',
  because: null,
  deployment_id: deploymentId,
  chute_id: chuteId,
  chute_name: 'llama',
  version: 'v1',
  server: 'gpu-2',
  gpu_ids: ['1', '2'],
  replicas_before: 2,
  numbers: { value: 12.34567, bounty: 100, far: null },
  alternatives: [{ chute_name: 'flux', server: 'gpu-2', value: 3.2, because: 'lower value' }],
  commit: 'e'.repeat(40),
};

const removal = {
  ...decision,
  kind: 'remove',
  reason: 'preempted',
  because: 'a chute of 3 times the value came',
  numbers: {},
  alternatives: [],
};

function answer({ on }: Upstream): void {
  on('GET /status', status);
  on('GET /servers/', [
    server('gpu-10'),
    server('gpu-2', { deployments: [deployment({ active: false, verified_at: null })] }),
  ]);
  on('GET /decisions', (request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    const known = [...query.values()].some((value) => [deploymentId, chuteId, 'gpu-2', 'old-server'].includes(value));
    sendJson(response, 200, known ? [decision, removal].slice(0, Number(query.get('limit'))) : []);
  });
}

test('status is one page with everything that matters', async ({ upstream, cli }) => {
  answer(upstream);
  const { code, stdout } = await cli('status');
  assert.is(code, 0);
  assert.match(stdout, /^validator +5FHneW46 not connected, feeds 1m old$/m);
  assert.match(stdout, /^GPUs +3 of 12 used on 2 server\(s\)$/m);
  assert.match(stdout, /^deployments +1 running, 1 active$/m);
  assert.match(stdout, /^cost +\$14\.00 per hour$/m);
  assert.match(stdout, /^held back +30 removals wait for a person$/m);
  assert.match(stdout, /^gpu-2 +h100_sxm +3\/8[\s\S]*^gpu-10 /m, 'names are sorted with their numbers');
  assert.match(stdout, /2026-01-31 12:00 {2}deploy llama on gpu-2: bounty \(value 2\)/);
  assert.equal(JSON.parse((await cli('status -o json')).stdout).held, status.held);
});

const subjects: [wanted: string, query: string][] = [
  [deploymentId, `deployment_id=${deploymentId}`],
  ['3f1c2', `deployment_id=${deploymentId}`],
  [chuteId, `chute_id=${chuteId}`],
  ['llama', `chute_id=${chuteId}`],
  ['ll', `chute_id=${chuteId}`],
  ['gpu-2', 'server=gpu-2'],
  ['uid-gpu-2', 'server=gpu-2'],
  ['old-server', 'server=old-server'],
];

for (const [wanted, query] of subjects) {
  test(`why ${wanted.slice(0, 12)} finds its decisions`, async ({ upstream, cli }) => {
    answer(upstream);
    const { code, stdout, stderr } = await cli(`why ${wanted}`);
    assert.is(code, 0, stderr);
    assert.ok(upstream.requests.some(({ request }) => request === `GET /decisions?${query}&limit=5`));
    assert.match(stdout, /deploy llama on gpu-2 \(\+1 → 3\): bounty/);
    assert.match(stdout, /numbers +value 12\.35, bounty 100, far -/);
    assert.match(stdout, /INSTEAD OF +ON +VALUE +LOST BECAUSE\n +flux +gpu-2 +3\.2 +lower value/);
    assert.match(stdout, /remove llama from gpu-2: preempted[\s\S]*because +a chute of 3 times the value came/);
  });
}

test('why tells what stands against another deployment of a chute, also of one that was never deployed', async ({
  upstream,
  cli,
}) => {
  answer(upstream);
  upstream.on('GET /plan', (request, response) => {
    const chute = new URL(request.url ?? '', 'http://x').searchParams.get('chute');
    const reasons = ['no server has a GPU that it runs on: b200'];
    const known = chute === 'cold-chute' || chute === chuteId;
    sendJson(response, 200, {
      decisions: [],
      held: [],
      why_not: known ? [{ chute_id: chuteId, chute_name: 'cold-chute', reasons }] : [],
    });
  });
  const { code, stdout } = await cli('why cold-chute');
  assert.is(code, 0);
  assert.match(
    stdout,
    /another cold-chute now\?\n {2}no server has a GPU that it runs on: b200\n\nno decision is on record/,
  );
  assert.match((await cli('why llama')).stdout, /no server has a GPU[\s\S]*deploy llama on gpu-2/);
  assert.equal(JSON.parse((await cli('why llama -o json')).stdout).why_not.length, 1);
  assert.is((await cli('why nothing')).code, 4);
});

test('why says what a short name may mean, and 4 for what nobody knows', async ({ upstream, cli }) => {
  answer(upstream);
  const unclear = await cli('why 3f1c');
  assert.is(unclear.code, 2);
  assert.match(unclear.stderr, /may mean 2 things: .*3f1c0000.*3f1c2f9e/);
  const unknown = await cli('why nothing');
  assert.is(unknown.code, 4);
  assert.match(unknown.stderr, /nothing is known of "nothing"/);
  const one = await cli('why gpu-2 --limit 1 -o json');
  assert.is(JSON.parse(one.stdout).decisions.length, 1);
  assert.is((await cli('why gpu-2 --limit 0')).code, 2);
});

test('a list comes as table, wide, json, yaml and name, sorted by name', async ({ upstream, cli }) => {
  answer(upstream);
  const table = (await cli('node list')).stdout;
  assert.match(
    table,
    /^NAME +STATUS +LOCKED +GPU +USED +VERIFIED +COST\/H +IP +AGE\ngpu-2 +Ready +no +h100_sxm +1\/2 +2\/2 +\$3\.00 /,
  );
  assert.match((await cli('-o wide node list')).stdout, /SERVER ID +VALIDATOR\n/);
  assert.is((await cli('node list -o name')).stdout, 'gpu-2\ngpu-10\n');
  const json = JSON.parse((await cli('node list -o json')).stdout);
  assert.equal(
    json.map(({ name }: { name: string }) => name),
    ['gpu-2', 'gpu-10'],
  );
  assert.equal(parse((await cli('node list -o yaml')).stdout), json);
  assert.match((await cli('deployments list')).stdout, /^CHUTE +SERVER +GPUS +STATE[\s\S]*llama +gpu-2 +1 +Claimed/);
  assert.match((await cli('deployments list -n gpu-10 -o name')).stdout, new RegExp(`^${deploymentId}\n$`));
});

test('an empty list is said on stderr and is still JSON', async ({ upstream, cli }) => {
  upstream.on('GET /servers/', []);
  const table = await cli('node list');
  assert.equal([table.stdout, table.stderr], ['', 'no servers; `chutes-miner node add` adds one\n']);
  assert.is((await cli('node list -q')).stderr, '');
  assert.is((await cli('node list -o json')).stdout, '[]\n');
});

test('tables fit into COLUMNS, and are not cut where nobody looks', async ({ upstream, cli }) => {
  answer(upstream);
  const long = server('gpu-0', { agent_api: `http://${'a'.repeat(200)}.example`, name: 'n'.repeat(63) });
  upstream.on('GET /servers/', [long]);
  const fitting: [args: string, columns: number][] = [
    ['node list', 100],
    ['node list', 80],
    ['deployments list', 80],
    ['local-inventory', 80],
    ['node list -o wide', 200],
  ];
  for (const [args, columns] of fitting) {
    const { stdout } = await cli(args, { env: { COLUMNS: String(columns) } });
    const widest = Math.max(...stdout.split('\n').map((line) => line.length));
    assert.ok(widest <= columns, `${args}: ${widest} > ${columns}\n${stdout}`);
  }
  const cut = (await cli('node list -o wide', { columns: 120 })).stdout;
  assert.match(cut, /…/);
  assert.match((await cli('node list -o wide')).stdout, /a{200}/);
});

test('colours are for terminals, and NO_COLOR or --no-color take them away', async ({ upstream, cli }) => {
  answer(upstream);
  const coloured = (text: string) => text.includes('\u001b[');
  assert.ok(coloured((await cli('status', { columns: 120 })).stdout));
  assert.not(coloured((await cli('status')).stdout));
  assert.not(coloured((await cli('status --no-color', { columns: 120 })).stdout));
  assert.not(coloured((await cli('status', { columns: 120, env: { NO_COLOR: '1' } })).stdout));
});

test('a chute cannot steer the terminal by its name', async ({ upstream, cli }) => {
  const name = 'evil\u001b[2Jname\u009b1m\nx';
  upstream.on('GET /servers/', [server('gpu-0', { deployments: [deployment({ chute: { name } })] })]);
  for (const args of ['deployments list', 'local-inventory', 'deployments show 3f1c', 'deployments list -o json']) {
    const { stdout } = await cli(args);
    assert.match(stdout, /evil\ufffd\[2Jname\ufffd1m( |\\n)x/);
  }
  upstream.on('GET /status', { detail: 'bad\u001b[2J' }, 500);
  assert.match((await cli('status')).stderr, /bad\ufffd\[2J/);
});

test('boxes are ASCII where the locale is not UTF-8', async ({ upstream, cli }) => {
  answer(upstream);
  const { stdout } = await cli('local-inventory', { env: { LANG: 'C' } });
  assert.not.match(stdout, /[^\n -~]/);
  assert.match(stdout, /\| Locked +\| No +\|/);
});

test('what an answer lacks is named, not printed as undefined', async ({ upstream, cli }) => {
  upstream.on('GET /servers/', [{ name: 'gpu-0' }]);
  const { code, stderr } = await cli('node list');
  assert.is(code, 1);
  assert.match(stderr, /the inventory cannot be read: 0\.server_id/);
  upstream.on('GET /servers/', (_request, response) => void response.end('<html>'));
  assert.match((await cli('node list')).stderr, /no JSON \[E-INTERNAL\]\nhint: is http:.* the miner API\?/);
});

test('deployments show finds one by the start of its id', async ({ upstream, cli }) => {
  upstream.on('GET /servers/', [server('gpu-2')]);
  assert.match((await cli('deployments show 3f1c')).stdout, /State +│ Active[\s\S]*│/);
  assert.is((await cli('deployments show ffff')).code, 4);
});

test.run();
