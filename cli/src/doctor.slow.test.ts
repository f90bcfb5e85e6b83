// `doctor`: each thing that can be wrong is named in one line with its fix, and only failures make it end with 3.

import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { remoteInventory, server } from './testing/shapes.ts';
import { miner, sendJson, type Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('doctor');
prepare(test);

function status(change: object = {}): object {
  const empty = { validators: [], servers: [], deployments: [], decisions: [], held: [] };
  return { now: 0, hotkey: miner.address, mode: 'active', configCommit: 'c', liveCommit: 'l', ...empty, ...change };
}

function healthy(upstream: Upstream): void {
  const { on, url } = upstream;
  on('GET /ping', { message: 'pong' });
  on('GET /readyz', { status: 'ready' });
  on('GET /servers/', [server('gpu-0', { agent_api: url })]);
  on('GET /status', status());
  on('GET /nodes/supported', { h100_sxm: {}, a6000: {} });
  on('GET /miner/inventory', remoteInventory);
}

test('everything in order is a list of ok, and exit 0', async ({ upstream, cli }) => {
  healthy(upstream);
  const { code, stdout } = await cli('doctor');
  assert.is(code, 0, stdout);
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => /^ok {4}([^:]+):/.exec(line)?.[1]);
  assert.equal(names, [
    'hotkey file',
    'miner API',
    'miner API clock',
    'miner ready',
    'hotkey at the miner',
    'validator',
    'validator clock',
    'hotkey at the validator',
    'agent of gpu-0',
  ]);
});

interface Case {
  what: string;
  breaks(context: TestContext): void;
  code: number;
  says: RegExp;
  env?: Record<string, string>;
}

function late(seconds: number): Record<string, string> {
  return { Date: new Date(Date.now() - seconds * 1000).toUTCString() };
}

const cases: Case[] = [
  {
    what: 'a hotkey file that others may read',
    breaks: ({ env }) => chmodSync(env.HOTKEY ?? '', 0o644),
    code: 0,
    says: /^warn {2}hotkey file: 5Grw.*mode 0644\)\n {6}fix: chmod 600 /m,
  },
  {
    what: 'no hotkey file',
    breaks: () => undefined,
    env: { HOTKEY: '/nowhere' },
    code: 3,
    says: /^fail {2}hotkey file: .*ENOENT/m,
  },
  {
    what: 'a miner API that is down',
    breaks: () => undefined,
    env: { MINER_API: 'http://127.0.0.1:9' },
    code: 3,
    says: /^fail {2}miner API: .*\[E-API-UNREACHABLE\]\n {6}fix: check --miner-api/m,
  },
  {
    what: 'a miner that is not ready',
    breaks: ({ upstream }) => upstream.on('GET /readyz', { detail: 'waits for: database' }, 503),
    code: 3,
    says: /^fail {2}miner ready: .*waits for: database/m,
  },
  {
    what: 'a clock that is a minute late',
    breaks: ({ upstream }) =>
      upstream.on('GET /ping', (_request, response) => {
        response.setHeader('Date', late(60).Date ?? '');
        sendJson(response, 200, {});
      }),
    code: 3,
    says: /^fail {2}miner API clock: (59|60|61) s behind ours\n {6}fix: timedatectl/m,
  },
  {
    what: 'a clock that drifts',
    breaks: ({ upstream }) =>
      upstream.on('GET /ping', (_request, response) => {
        response.setHeader('Date', late(12).Date ?? '');
        sendJson(response, 200, {});
      }),
    code: 0,
    says: /^warn {2}miner API clock: 1\d s behind ours/m,
  },
  {
    what: 'a miner with another hotkey',
    breaks: ({ upstream }) => upstream.on('GET /status', status({ hotkey: '5Other' })),
    code: 3,
    says: /^fail {2}hotkey at the miner: the miner is 5Other/m,
  },
  {
    what: 'a refused hotkey',
    breaks: ({ upstream }) => upstream.on('GET /servers/', { detail: 'Unauthorized' }, 401),
    code: 3,
    says: /^fail {2}hotkey at the miner: .*\[E-AUTH\]/m,
  },
  {
    what: 'something held back',
    breaks: ({ upstream }) => upstream.on('GET /status', status({ held: ['12 removals wait'] })),
    code: 0,
    says: /^warn {2}held back: 12 removals wait/m,
  },
  {
    what: 'a GPU model that is no longer supported',
    breaks: ({ upstream }) => upstream.on('GET /nodes/supported', { a6000: {} }),
    code: 3,
    says: /^fail {2}GPU model of gpu-0: h100_sxm is not supported/m,
  },
  {
    what: 'a hotkey that is not registered',
    breaks: ({ upstream }) => upstream.on('GET /miner/inventory', { detail: 'not registered' }, 401),
    code: 3,
    says: /^fail {2}hotkey at the validator: .*not registered/m,
  },
  {
    what: 'an agent that is silent',
    breaks: ({ upstream }) => upstream.on('GET /servers/', [server('gpu-0', { agent_api: 'http://127.0.0.1:9' })]),
    code: 3,
    says: /^fail {2}agent of gpu-0: .*\[E-AGENT-UNREACHABLE\]/m,
  },
];

for (const { what, breaks, code, says, env = {} } of cases) {
  test(`${what} is ${code === 0 ? 'a warning' : 'a failure'}`, async (context) => {
    healthy(context.upstream);
    breaks(context);
    const called = await context.cli('doctor', { env });
    assert.is(called.code, code, called.stdout);
    assert.match(called.stdout, says);
  });
}

test('the repository must be there with both branches; credentials in its URL are not shown', async ({
  upstream,
  cli,
  folder,
}) => {
  healthy(upstream);
  const repository = join(folder, 'repository');
  execFileSync('git', ['init', '-q', '-b', 'main', repository]);
  execFileSync('git', [
    ...['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.invalid'],
    ...['commit', '-q', '--allow-empty', '-m', 'one'],
  ]);
  const half = await cli(['doctor', '--repo', repository]);
  assert.is(half.code, 3);
  assert.match(half.stdout, /^ok {4}repository branch main[\s\S]*^fail {2}repository branch live/m);
  execFileSync('git', ['-C', repository, 'branch', 'live']);
  assert.is((await cli(['doctor', '--repo', repository])).code, 0);
  const missing = await cli('doctor --repo http://user:hunter2@127.0.0.1:9/x.git -q');
  assert.is(missing.code, 3);
  assert.match(missing.stdout, /^fail {2}repository: http:\/\/127/m);
  assert.not.match(missing.stdout, /hunter2|^ok/m);
});

test('with -o json there is one document', async ({ upstream, cli }) => {
  healthy(upstream);
  upstream.on('GET /nodes/supported', {});
  const { code, stdout } = await cli('doctor -o json');
  assert.is(code, 3);
  const { ok, checks } = JSON.parse(stdout);
  assert.is(ok, false);
  assert.equal(
    checks.filter(({ result }: { result: string }) => result === 'fail').map(({ name }: { name: string }) => name),
    ['GPU model of gpu-0'],
  );
});

test.run();
