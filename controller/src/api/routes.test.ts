import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { type Context, deployment, gpuId, stranger, useApi } from './testing/api.ts';

const test = suite<Context>('API routes');
useApi(test);

const config: ServerConfig = {
  name: 'gpu-0',
  validator: stranger.address,
  hourlyCost: 2.25,
  gpuShortRef: 'h100_sxm',
  agentApi: 'http://203.0.113.10:32000',
  locked: false,
};

test('the inventory has the columns operators read, the exact seed, and neither kubeconfig nor code', async ({
  call,
}) => {
  const response = await call('GET', '/servers/');
  assert.is(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', 'application/json');
  const text = await response.text();
  assert.match(text, '"seed":9223372036854775807,');
  for (const hidden of ['kubeconfig', '"code"', 'SECRET CODE']) assert.not.match(text, hidden);
  const [first, second] = JSON.parse(text);
  assert.equal([first.name, second.name], ['gpu-0', 'gpu-1']);
  const { gpus, deployments, seed, ...columns } = first;
  assert.equal(columns, {
    server_id: 'uid-gpu-0',
    validator: stranger.address,
    name: 'gpu-0',
    ip_address: '203.0.113.10',
    agent_api: 'http://203.0.113.10:32000',
    verification_port: 30000,
    status: 'Ready',
    created_at: '2025-01-01T00:00:00.000+00:00',
    labels: {
      'chutes/external-ip': '203.0.113.10',
      'chutes/validator': stranger.address,
      'chutes/worker': 'true',
      'gpu-short-ref': 'h100_sxm',
    },
    gpu_count: 2,
    cpu_per_gpu: 4,
    memory_per_gpu: 79,
    hourly_cost: 1.5,
    locked: false,
    is_tee: false,
  });
  assert.equal(gpus[0], {
    gpu_id: gpuId(1),
    validator: stranger.address,
    server_id: 'uid-gpu-0',
    deployment_id: 'd1',
    device_info: { uuid: gpuId(1), name: 'NVIDIA H100 80GB HBM3', memory: 85_017_624_576, clock_rate: 1_980_000 },
    model_short_ref: 'h100_sxm',
    verified: true,
  });
  const { chute, gpus: held, ...row } = deployments[0];
  assert.equal(row, {
    deployment_id: 'd1',
    instance_id: 'instance-d1',
    validator: stranger.address,
    host: '203.0.113.10',
    port: 30100,
    chute_id: 'chute-1',
    server_id: 'uid-gpu-0',
    version: 'v1',
    active: true,
    verified_at: '2025-01-01T00:00:02.000+00:00',
    activated_at: '2025-01-01T00:00:03.000+00:00',
    stub: false,
    job_id: null,
    config_id: 'config-d1',
    created_at: '2025-01-01T00:00:00.000+00:00',
    preemptible: true,
  });
  assert.equal([chute.name, chute.chutes_version, held.length], ['llama', '0.3.0', 1]);
  assert.equal([second.status, second.deployments, second.gpus[0].deployment_id], ['Unknown', [], null]);
});

test('a draining deployment is no longer listed but still holds its GPU', async ({ call, rows }) => {
  rows.splice(
    0,
    2,
    deployment('d1', 'gpu-0', [1], { removedAt: 1 }),
    deployment('d2', 'gpu-0', [2], { removedAt: 1, goneAt: 2 }),
  );
  const [first] = (await (await call('GET', '/servers/')).json()) as {
    deployments: unknown[];
    gpus: { deployment_id: unknown }[];
  }[];
  assert.equal(first?.deployments, []);
  assert.equal(
    first?.gpus.map((gpu) => gpu.deployment_id),
    ['d1', null],
  );
});

test('price and lock are what main says; a main that cannot be read hides nothing', async (context) => {
  context.configured.set('gpu-0', { ...config, locked: true });
  const read = async () => {
    const [first] = (await (await context.call('GET', '/servers/')).json()) as {
      hourly_cost: number;
      locked: boolean;
    }[];
    return [first?.hourly_cost, first?.locked];
  };
  assert.equal(await read(), [2.25, true]);
  context.options.repo.readMain = () => Promise.reject(new MinerError('E-CONFIG', 'broken'));
  assert.equal(await read(), [1.5, false]);
});

for (const nameOrId of ['gpu-0', 'uid-gpu-0']) {
  test(`${nameOrId} is locked on main and in the store, and unlocked again`, async ({ call, done, configured }) => {
    configured.set('gpu-0', config);
    const locked = (await (await call('GET', `/servers/${nameOrId}/lock`)).json()) as { name: string; locked: boolean };
    assert.equal([locked.name, locked.locked], ['gpu-0', true]);
    const unlocked = (await (await call('GET', `/servers/${nameOrId}/unlock`)).json()) as { locked: boolean };
    assert.is(unlocked.locked, false);
    assert.equal(done, [
      'repo gpu-0 locked=true',
      'store gpu-0 {"locked":true}',
      'repo gpu-0 locked=false',
      'store gpu-0 {"locked":false}',
    ]);
    assert.is(configured.get('gpu-0')?.hourlyCost, 2.25);
  });
}

test('the preflight lists the jobs of the server', async ({ call }) => {
  const answer = (await (await call('GET', '/servers/gpu-0/delete_preflight')).json()) as {
    jobs: { job_id: string }[];
  };
  assert.equal(
    answer.jobs.map((job) => job.job_id),
    ['j1'],
  );
  assert.equal(await (await call('GET', '/servers/gpu-1/delete_preflight')).json(), { jobs: [] });
});

test('deleting a server starts it and does not wait', async (context) => {
  context.options.nodes.deleteNode = async (name) => {
    context.done.push(`deleteNode ${name}`);
    throw new Error('the validator is away');
  };
  const response = await context.call('DELETE', '/servers/uid-gpu-0');
  assert.is(response.status, 200);
  const { status, detail } = (await response.json()) as { status: string; detail: string };
  assert.is(status, 'started');
  assert.match(detail, 'gpu-0');
  assert.equal(context.done, ['deleteNode gpu-0']);
});

const row = (server: string) => ({
  chute_id: 'chute-1',
  chute_name: 'llama',
  server_id: `uid-${server}`,
  server_name: server,
  gpu_count: 1,
});

const purges: [string, string, unknown[], string[]][] = [
  ['a server spares its jobs', '/servers/gpu-0/deployments', [row('gpu-0')], ['undeploy d1']],
  ['a server by id', '/servers/uid-gpu-0/deployments', [row('gpu-0')], ['undeploy d1']],
  ['an empty server takes nothing', '/servers/gpu-1/deployments', [], []],
  ['an unknown server takes nothing', '/servers/unknown/deployments', [], []],
  ['all takes jobs too', '/deployments/purge', [row('gpu-0'), row('gpu-0')], ['undeploy d1 d2']],
];
for (const [what, path, purged, calls] of purges) {
  test(`purging ${what}`, async ({ call, done }) => {
    const response = await call('DELETE', path);
    assert.is(response.status, 200);
    assert.equal(await response.json(), { status: 'initiated', deployments_purged: purged });
    assert.equal(done, calls);
  });
}

test('K11 one deployment is purged and shown', async ({ call, done }) => {
  const answer = (await (await call('DELETE', '/deployments/d2')).json()) as {
    status: string;
    deployment_purged: { deployment_id: string; preemptible: boolean };
  };
  assert.equal([answer.status, answer.deployment_purged.deployment_id], ['initiated', 'd2']);
  assert.is(answer.deployment_purged.preemptible, false, 'a job never is');
  assert.equal(done, ['undeploy d2']);
});

const unknown: [string, string][] = [
  ['GET', '/servers/nope/lock'],
  ['GET', '/servers/nope/unlock'],
  ['GET', '/servers/nope/delete_preflight'],
  ['DELETE', '/servers/nope'],
  ['DELETE', '/deployments/nope'],
  ['GET', '/nothing/here'],
];
for (const [method, path] of unknown) {
  test(`${method} ${path} is 404 and does nothing`, async ({ call, done }) => {
    const response = await call(method, path);
    assert.is(response.status, 404);
    assert.is(((await response.json()) as { error: string }).error, 'E-NOT-FOUND');
    assert.equal(done, []);
  });
}

test('/servers leads to /servers/ and keeps method and query', async ({ url }) => {
  for (const method of ['GET', 'POST']) {
    const response = await fetch(`${url}/servers?a=1`, { method, redirect: 'manual' });
    assert.equal([response.status, response.headers.get('location')], [307, '/servers/?a=1']);
  }
});

test('odd paths are never an internal error', async ({ call }) => {
  for (const path of [
    '/servers/%zz/lock',
    '/servers/%00/lock',
    `/servers/${'x'.repeat(500)}/lock`,
    '/servers//lock',
    '/servers/..%2f/lock',
  ]) {
    const response = await call('GET', path);
    const { status } = response;
    assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    assert.equal(Object.keys((await response.json()) as object), ['error', 'detail'], path);
  }
});

test('a request that trickles in is given up after a while: it costs its sender nothing to hold it open', ({ app }) => {
  assert.ok(app.server.requestTimeout > 0 && app.server.requestTimeout <= 60_000);
});

test('an unexpected error is 500 and tells nothing', async (context) => {
  context.options.status = () => Promise.reject(new Error('password=hunter2'));
  const response = await context.call('GET', '/status');
  assert.is(response.status, 500);
  assert.equal(await response.json(), { error: 'E-INTERNAL', detail: 'internal error' });
});

test('the status document is given as it is, and 503 while there is none', async (context) => {
  assert.match(await (await context.call('GET', '/status')).text(), '"hotkey"');
  context.options.status = async () => undefined;
  assert.is((await context.call('GET', '/status')).status, 503);
});

test.run();
