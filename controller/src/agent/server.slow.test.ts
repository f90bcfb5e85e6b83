import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runAgent } from '../roles/agent.ts';
import { managementHeaders, validatorHeaders } from '../signing/sign.ts';
import { fetchKubeconfig } from '../verification/agent.ts';
import {
  call,
  cluster,
  type FakeKube,
  type FakeMonitor,
  kubeconfig,
  miner,
  startKube,
  startMonitor,
  stranger,
} from './testing/cluster.ts';

interface Context {
  dir: string;
  kube: FakeKube;
  monitor: FakeMonitor;
  agent: Awaited<ReturnType<typeof runAgent>>;
  url: string;
  lines: string[];
}

const test = suite<Context>('agent');
const seed = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';

test.before.each(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'agent-'));
  context.kube = await startKube();
  context.monitor = await startMonitor();
  context.lines = [];
  const hotkeyFile = join(context.dir, 'hotkey');
  await writeFile(hotkeyFile, JSON.stringify({ ss58Address: miner.address, secretSeed: `0x${seed}` }));
  const kubeconfigFile = join(context.dir, 'kubeconfig');
  await writeFile(kubeconfigFile, context.kube.config.exportConfig());
  context.agent = await runAgent({
    hotkeyFile,
    name: cluster,
    stateDir: join(context.dir, 'state'),
    host: '127.0.0.1',
    port: 0,
    kubeconfigFile,
    log: pino({ level: 'debug' }, { write: (line) => context.lines.push(line) }),
  });
  context.url = context.agent.url;
});
test.after.each(async ({ agent, kube, monitor, dir }) => {
  await agent.stop();
  await kube.close();
  await monitor.close();
  await rm(dir, { recursive: true });
});

test('it says that it is there', async ({ url }) => {
  assert.equal(await call(url, 'GET', '/ping'), { status: 200, body: { message: 'pong' } });
});

test('the miner gets the kubeconfig that the Secret holds, and the log shows none of it', async ({ url, lines }) => {
  const answer = await call(url, 'GET', '/config/kubeconfig', { purpose: 'registration' });
  assert.equal(answer, { status: 200, body: { kubeconfig } });
  for (const secret of ['top-secret', seed, 'service-account-token']) assert.not(lines.join('').includes(secret));
});

test('the controller reads it with its own client', async ({ url }) => {
  assert.is(await fetchKubeconfig(url, miner), kubeconfig);
});

const path = '/api/v1/namespaces/default/secrets/miner-kubeconfig';
const secrets: [string, FakeKube['replies'][string], number, RegExp][] = [
  ['is missing', [404, {}], 404, /does not exist/],
  ['has no such key', [200, { data: { other: 'eA==' } }], 404, /no key kubeconfig/],
  ['may not be read', [403, {}], 403, /may not read/],
  ['is refused to the account', [401, {}], 403, /may not read/],
  ['is behind a broken API', [503, {}], 500, /answered 503/],
  ['is no Secret', [200, '<html>top-secret</html>'], 500, /no Secret/],
  ['holds what is no text', [200, { data: { kubeconfig: { secret: 'top-secret' } } }], 500, /no Secret/],
];
for (const [what, reply, status, detail] of secrets) {
  test(`a Secret that ${what} is answered with ${status}`, async ({ url, kube }) => {
    kube.replies[path] = reply;
    const answer = await call(url, 'GET', '/config/kubeconfig', { purpose: 'registration' });
    assert.is(answer.status, status);
    assert.match(String(answer.body.detail), detail);
    assert.not(JSON.stringify(answer).includes('top-secret'));
  });
}

test('a silent Kubernetes API is answered with 500', async ({ url, kube }) => {
  await kube.close();
  const answer = await call(url, 'GET', '/config/kubeconfig', { purpose: 'registration' });
  assert.is(answer.status, 500);
  assert.match(String(answer.body.detail), /cannot be reached/);
});

test('monitoring starts, is shown, and stops, in the shapes of older callers', async ({ url, monitor }) => {
  const start = JSON.stringify({ control_plane_url: monitor.url });
  assert.equal(await call(url, 'POST', '/monitor/start', { body: start }), {
    status: 200,
    body: { message: 'Monitoring started', cluster },
  });
  const { status, body } = await call(url, 'GET', '/monitor/status');
  assert.is(status, 200);
  assert.equal(Object.keys(body), ['cluster_id', 'state', 'error_message', 'last_heartbeat']);
  assert.is(body.state, 'running');
  assert.equal(await call(url, 'GET', '/monitor/health'), { status: 200, body: { status: 'healthy', cluster } });
  assert.is((await call(url, 'POST', '/monitor/start', { body: start })).status, 409);
  const stop = { purpose: 'monitoring' };
  assert.equal(await call(url, 'GET', '/monitor/stop', stop), { status: 200, body: { message: 'Monitoring stopped' } });
  assert.is((await call(url, 'GET', '/monitor/stop', stop)).status, 409);
  assert.is((await call(url, 'GET', '/monitor/status')).body.state, 'stopped');
});

test('a control plane that cannot be reached gives 500 with the reason; the agent stays healthy and tries on', async ({
  url,
  monitor,
}) => {
  await monitor.close();
  const answer = await call(url, 'POST', '/monitor/start', {
    body: JSON.stringify({ control_plane_url: monitor.url }),
  });
  assert.is(answer.status, 500);
  assert.match(String(answer.body.detail), /cannot be reached/);
  assert.is((await call(url, 'GET', '/monitor/status')).body.state, 'degraded');
  assert.is((await call(url, 'GET', '/monitor/health')).status, 200);
});

const bodies: [string, string][] = [
  ['that is empty', ''],
  ['that is no JSON', '{'],
  ['without the URL', '{}'],
  ['with a number for it', '{"control_plane_url":1}'],
  ['with another scheme', '{"control_plane_url":"file:///etc/passwd"}'],
];
for (const [what, body] of bodies) {
  test(`a signed body ${what} is answered with 422 and starts nothing`, async ({ url }) => {
    assert.is((await call(url, 'POST', '/monitor/start', { body })).status, 422);
    assert.is((await call(url, 'GET', '/monitor/status')).body.state, 'stopped');
  });
}

const signed = (purpose: string, signer = miner) => managementHeaders(signer, { purpose });
const forgeries: [string, () => Record<string, string>][] = [
  ['no signature', () => ({})],
  ['the purpose of another route', () => signed('monitoring')],
  ['another hotkey', () => signed('registration', stranger)],
  [
    'another hotkey under the miner’s name',
    () => ({
      ...signed('registration', stranger),
      'X-Chutes-Validator': miner.address,
      'X-Chutes-Miner': miner.address,
    }),
  ],
  ['what a validator is sent', () => validatorHeaders(miner, { purpose: 'registration' })],
  [
    'a nonce of a minute ago',
    () => managementHeaders(miner, { purpose: 'registration' }, { now: () => Date.now() - 60_000 }),
  ],
  [
    'a nonce of the next minute',
    () => managementHeaders(miner, { purpose: 'registration' }, { now: () => Date.now() + 60_000 }),
  ],
  ['a signature that is no hex', () => ({ ...signed('registration'), 'X-Chutes-Signature': 'zz'.repeat(64) })],
  ['a signature with 0x', () => ({ ...signed('registration'), 'X-Chutes-Signature': `0x${'00'.repeat(64)}` })],
  ['a nonce that is no number', () => ({ ...signed('registration'), 'X-Chutes-Nonce': 'now' })],
];
for (const [what, headers] of forgeries) {
  test(`the kubeconfig is not given for ${what}`, async ({ url }) => {
    assert.equal(await call(url, 'GET', '/config/kubeconfig', { headers: headers() }), {
      status: 401,
      body: { error: 'E-AUTH', detail: 'Unauthorized' },
    });
  });
}

test('a request is accepted once', async ({ url }) => {
  const headers = signed('registration');
  assert.is((await call(url, 'GET', '/config/kubeconfig', { headers })).status, 200);
  assert.is((await call(url, 'GET', '/config/kubeconfig', { headers })).status, 401);
});

test('a start whose body was changed, or that signs the purpose, starts nothing', async ({ url, monitor }) => {
  const body = JSON.stringify({ control_plane_url: monitor.url });
  for (const headers of [managementHeaders(miner, { body: `${body} ` }), signed('monitoring')]) {
    assert.is((await call(url, 'POST', '/monitor/start', { body, headers })).status, 401);
  }
  assert.is((await call(url, 'GET', '/monitor/status')).body.state, 'stopped');
});

test('a large body is refused, and unknown routes are 404', async ({ url }) => {
  assert.is((await call(url, 'POST', '/monitor/start', { body: 'x'.repeat(20_000) })).status, 413);
  assert.equal(await call(url, 'GET', '/config'), { status: 404, body: { error: 'E-NOT-FOUND', detail: 'Not Found' } });
});

test('a caller who floods with well-formed forgeries is slowed down, the probes are not', async ({ url }) => {
  const forged = { ...signed('registration'), 'X-Chutes-Signature': 'ab'.repeat(64) };
  const answers = await Promise.all(
    Array.from({ length: 60 }, () => call(url, 'GET', '/config/kubeconfig', { headers: forged })),
  );
  const statuses = new Set(answers.map(({ status }) => status));
  assert.ok(statuses.has(401) && statuses.has(429) && statuses.size === 2, [...statuses].join());
  assert.is((await call(url, 'GET', '/monitor/health')).status, 200);
});

test.run();
