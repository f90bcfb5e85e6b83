import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiOptions } from './options.ts';
import { notReady } from './schemas.ts';
import { type Context, nowMs, useApi } from './testing/api.ts';

const test = suite<Context>('API health');
useApi(test);

async function get(url: string): Promise<[number, unknown]> {
  const response = await fetch(url);
  return [response.status, await response.json()];
}

test('it is ready when every part is', async ({ start }) => {
  const parts = [{ part: 'store', ok: true, since: nowMs, detail: 'answers' }];
  const url = await start({ readiness: async () => parts });
  assert.equal(await get(`${url}/readyz`), [200, { status: 'ready', parts }]);
});

test('one part that does not work makes it 503, with all parts and since when', async ({ start }) => {
  const parts = [
    { part: 'store', ok: false, since: nowMs, detail: 'no answer' },
    { part: 'redis', ok: true },
    { part: 'git', ok: false },
  ];
  const url = await start({ readiness: async () => parts });
  const [status, answer] = await get(`${url}/readyz`);
  assert.is(status, 503);
  assert.equal(notReady.parse(answer), { error: 'E-NOT-READY', detail: 'waits for: store, git', parts });
});

test('a process that cannot tell whether it is ready is not, but it is alive', async ({ start }) => {
  const url = await start({ readiness: () => Promise.reject(new Error('password=hunter2')) });
  const [status, answer] = await get(`${url}/readyz`);
  assert.is(status, 503);
  assert.not.match(JSON.stringify(answer), 'hunter2');
  assert.equal(await get(`${url}/healthz`), [200, { status: 'ok' }]);
});

test('readiness turns with its parts', async ({ start }) => {
  let ok = false;
  const url = await start({ readiness: async () => [{ part: 'store', ok }] });
  assert.is((await get(`${url}/readyz`))[0], 503);
  ok = true;
  assert.is((await get(`${url}/readyz`))[0], 200);
});

test('metrics are given as they are, and are 404 without any', async ({ start, url }) => {
  const metrics: ApiOptions['metrics'] = {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    expose: async () => 'up 1\n',
  };
  const response = await fetch(`${await start({ metrics })}/metrics`);
  assert.equal(
    [response.status, response.headers.get('content-type'), await response.text()],
    [200, metrics.contentType, 'up 1\n'],
  );
  assert.is((await fetch(`${url}/metrics`)).status, 404);
});

test('each answer is told with its route pattern, never with the path', async ({ start, sign }) => {
  const told: unknown[] = [];
  const url = await start({ onAnswer: ({ method, route, status, ms }) => told.push([method, route, status, ms >= 0]) });
  await fetch(`${url}/servers/gpu-0/delete_preflight?x=1`, { headers: sign({ purpose: 'management' }) });
  await fetch(`${url}/secret/path`);
  await fetch(`${url}/servers/gpu-0`, { method: 'DELETE' });
  assert.equal(told, [
    ['GET', '/servers/:id/delete_preflight', 200, true],
    ['GET', '', 404, true],
    ['DELETE', '/servers/:id', 401, true],
  ]);
});

test('a HEAD request changes nothing', async ({ url, sign, done }) => {
  const headers = sign({ purpose: 'management' });
  assert.is((await fetch(`${url}/servers/gpu-0/lock`, { method: 'HEAD', headers })).status, 404);
  assert.equal(done, []);
});

test.run();
