// How a call ends: the exit code tells the kind of failure, stderr says it in one sentence with a code and a hint, and no key material.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { server } from './testing/shapes.ts';
import { sendJson, stream, type Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('exit codes');
prepare(test);

const add =
  'add-node --name gpu-0 --validator 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty --hourly-cost 1.5 --gpu-short-ref h100_sxm --agent-api http://203.0.113.10:32000';

function respond(route: string, status: number, body: object, headers: Record<string, string> = {}) {
  return ({ on }: Upstream) =>
    on(route, (_request, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      sendJson(response, status, body);
    });
}

interface Case {
  what: string;
  args: string;
  setUp?(upstream: Upstream): void;
  env?: Record<string, string>;
  code: number;
  /** With --compat-exit. */
  compat?: number;
  says: RegExp;
}

const lastYear = new Date(Date.now() - 3600_000).toUTCString();

const cases: Case[] = [
  {
    what: 'a miner API that is down',
    args: 'local-inventory',
    env: { MINER_API: 'http://127.0.0.1:9' },
    code: 7,
    compat: 1,
    says: /the miner API at http:\/\/127\.0\.0\.1:9 cannot be reached \(.+\) \[E-API-UNREACHABLE\]\nhint: check --miner-api/,
  },
  {
    what: 'a validator that is down',
    args: 'remote-inventory',
    env: { VALIDATOR_API: 'http://127.0.0.1:9' },
    code: 7,
    says: /\[E-VALIDATOR-UNREACHABLE\]/,
  },
  {
    what: 'an answer that does not come in time',
    args: 'local-inventory --timeout 0.05',
    setUp: ({ on }) => on('GET /servers/', () => undefined),
    code: 7,
    says: /no answer in time/,
  },
  {
    what: 'a refused signature',
    args: 'local-inventory',
    setUp: respond('GET /servers/', 401, { detail: 'Unauthorized' }),
    code: 6,
    compat: 1,
    says: /answered 401 to GET \/servers\/: Unauthorized \[E-AUTH\]/,
  },
  {
    what: 'a refused signature from a server whose clock is far off',
    args: 'local-inventory',
    setUp: respond('GET /servers/', 401, { detail: 'Unauthorized' }, { Date: lastYear }),
    code: 6,
    says: /its clock is 36\d\d s behind ours \[E-CLOCK-SKEW\]\nhint: .*timedatectl/,
  },
  {
    what: 'a server that is not known',
    args: 'lock --name nosuch',
    code: 4,
    compat: 1,
    says: /404.*\[E-NOT-FOUND\]\nhint: /,
  },
  {
    what: 'a name that matches nothing in the inventory',
    args: 'local-inventory -n nosuch',
    setUp: respond('GET /servers/', 200, [server()]),
    code: 4,
    compat: 1,
    says: /no server has the name or id nosuch \[E-NOT-FOUND\]\nhint: known: gpu-0/,
  },
  {
    what: 'a server that is there already',
    args: add,
    setUp: respond('POST /servers/', 409, { error: 'E-ALREADY-ADDED', detail: 'server gpu-0 is in the inventory' }),
    code: 5,
    compat: 1,
    says: /409.*server gpu-0 is in the inventory \[E-ALREADY-ADDED\]/,
  },
  {
    what: 'a request that the API refuses',
    args: add,
    setUp: respond('POST /servers/', 400, { detail: 'short ref is unknown' }),
    code: 1,
    says: /400.*short ref is unknown \[E-REQUEST\]/,
  },
  {
    what: 'an agent that the miner cannot reach',
    args: add,
    setUp: respond('POST /servers/', 502, { error: 'E-AGENT-UNREACHABLE', detail: 'the agent is silent' }),
    code: 7,
    says: /\[E-AGENT-UNREACHABLE\]/,
  },
  {
    what: 'a stream that says the validator refused',
    args: add,
    setUp: ({ on }) => on('POST /servers/', stream(['adding', 'FAILED: E-VALIDATOR GPU is known already'])),
    code: 8,
    compat: 0,
    says: /the node was not added: GPU is known already \[E-VALIDATOR\]/,
  },
  {
    what: 'a stream that says the GPUs were not proven, and is cut off',
    args: add,
    setUp: ({ on }) =>
      on('POST /servers/', stream(['FAILED: E-VERIFICATION the validator refused the GPUs: wrong proof'], true)),
    code: 8,
    compat: 0,
    says: /the validator refused the GPUs: wrong proof \[E-VERIFICATION\]/,
  },
  {
    what: 'a stream that says something else failed',
    args: add,
    setUp: ({ on }) => on('POST /servers/', stream(['FAILED: E-NODE node gpu-0 is not Ready'], true)),
    code: 1,
    says: /node gpu-0 is not Ready \[E-NODE\]/,
  },
  {
    what: 'an upstream stream that ends after a 409 of the validator',
    args: add,
    setUp: ({ on }) => on('POST /servers/', stream(['advertising', 'validator said 409: GPU exists'])),
    code: 8,
    compat: 0,
    says: /the validator did not take the node: validator said 409/,
  },
  {
    what: 'an upstream stream that is cut off',
    args: add,
    setUp: ({ on }) => on('POST /servers/', stream(['unhandled exception'], true)),
    code: 1,
    says: /the miner gave up adding the node: unhandled exception/,
  },
  { what: 'an unknown command', args: 'frobnicate', code: 2, says: /unknown command 'frobnicate' \[E-USAGE\]/ },
  { what: 'a misspelt command', args: 'statis', code: 2, says: /Did you mean status/ },
  { what: 'a missing option', args: 'add-node --name gpu-0', code: 2, says: /--validator is missing/ },
  { what: 'no name', args: 'lock', code: 2, says: /--name is missing/ },
  { what: 'two names', args: 'lock gpu-0 --name gpu-1', code: 2, says: /both "gpu-0" and --name gpu-1/ },
  {
    what: 'a format that does not exist',
    args: 'node list -o xml',
    code: 2,
    says: /allowed: table, wide, json, yaml, name/,
  },
  { what: 'no hotkey', args: 'local-inventory', env: { HOTKEY: '' }, code: 2, says: /--hotkey is missing/ },
  { what: 'an address that is no URL', args: 'status --miner-api localhost', code: 2, says: /found "localhost"/ },
  { what: 'a cost that is no number', args: add.replace('1.5', 'much'), code: 2, says: /--hourly-cost: found "much"/ },
  { what: 'neither deployment nor node to purge', args: 'purge-deployment', code: 2, says: /exactly one of/ },
  { what: 'both to purge', args: 'purge-deployment -d a -n b', code: 2, says: /exactly one of/ },
  { what: 'a cursor that is no time', args: 'instance-logs -j T -c soon', code: 2, says: /allowed: an ISO time/ },
  { what: 'logs without a token', args: 'instance-logs', code: 2, says: /--jwt is missing/ },
];

for (const { what, args, setUp, env = {}, code, compat, says } of cases) {
  test(`${what} ends with ${code}${compat === undefined ? '' : `, with --compat-exit ${compat}`}`, async ({
    upstream,
    cli,
  }) => {
    setUp?.(upstream);
    const called = await cli(args, { env });
    assert.is(called.code, code, called.stderr);
    assert.match(called.stderr, says);
    assert.not.match(called.stderr, /^\s+at /m);
    if (compat !== undefined) assert.is((await cli(`${args} --compat-exit`, { env })).code, compat);
  });
}

test('with -o json add-node prints one event a line and how it ended', async ({ upstream, cli }) => {
  upstream.on('POST /servers/', stream(['adding', 'completed server bootstrapping in 3 seconds!']));
  const good = await cli(`${add} -o json`);
  const lines = good.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ type, ok }) => type ?? ok),
    ['progress', 'progress', true],
  );
  upstream.on('POST /servers/', stream(['FAILED: E-VALIDATOR no']));
  const bad = await cli(`${add} -o json`);
  assert.is(bad.code, 8);
  const last = JSON.parse(bad.stdout.trim().split('\n').at(-1) ?? '');
  assert.equal([last.ok, last.error.code], [false, 'E-VALIDATOR']);
});

test.run();
