import { connect } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { managementHeaders, type SignedHeaders, validatorHeaders } from '../signing/sign.ts';
import { addBody, type Context, miner, nowMs, stranger, useApi } from './testing/api.ts';

const test = suite<Context>('API authentication');
useApi(test);

const routes: [string, string][] = [
  ['GET', '/servers/'],
  ['POST', '/servers/'],
  ['GET', '/servers/gpu-0/lock'],
  ['GET', '/servers/gpu-0/unlock'],
  ['GET', '/servers/gpu-0/delete_preflight'],
  ['DELETE', '/servers/gpu-0'],
  ['DELETE', '/servers/gpu-0/deployments'],
  ['DELETE', '/deployments/purge'],
  ['DELETE', '/deployments/d1'],
  ['DELETE', '/servers/unknown'],
  ['GET', '/status'],
  ['GET', '/deployments/'],
  ['GET', '/decisions'],
  ['GET', '/servers/kubeconfig'],
];

function signedAt(ms: number): SignedHeaders {
  return managementHeaders(miner, { purpose: 'management' }, { now: () => ms });
}

function changed(change: Record<string, string>): SignedHeaders {
  return { ...signedAt(nowMs), ...change };
}

const good = signedAt(nowMs)['X-Chutes-Signature'] ?? '';

const forgeries: [string, () => SignedHeaders][] = [
  ['nothing', () => ({})],
  ['a bad signature', () => changed({ 'X-Chutes-Signature': `${good.slice(0, 126)}00` })],
  ['an old nonce', () => signedAt(nowMs - 30_000)],
  ['a nonce of the future', () => signedAt(nowMs + 31_000)],
  ['a nonce that was changed', () => changed({ 'X-Chutes-Nonce': String(nowMs / 1000 + 1) })],
  ['a nonce that is no number', () => changed({ 'X-Chutes-Nonce': 'soon' })],
  ['a wrong purpose', () => managementHeaders(miner, { purpose: 'monitoring' }, { now: () => nowMs })],
  ['a wrong signer', () => managementHeaders(stranger, { purpose: 'management' }, { now: () => nowMs })],
  [
    'a wrong signer in the name of the miner',
    () =>
      changed({ 'X-Chutes-Signature': stranger.sign(`${miner.address}:${miner.address}:${nowMs / 1000}:management`) }),
  ],
  [
    'a signature for the validator',
    () => ({ ...changed({}), ...validatorHeaders(miner, { purpose: 'management' }, { now: () => nowMs }) }),
  ],
  ['malformed hex', () => changed({ 'X-Chutes-Signature': 'xyz' })],
  ['a signature of the wrong length', () => changed({ 'X-Chutes-Signature': good.slice(0, 64) })],
  ['0x before the signature', () => changed({ 'X-Chutes-Signature': `0x${good}` })],
];

for (const [what, headers] of forgeries) {
  test(`${what} is 401 on every route, and nothing is done`, async (context) => {
    for (const [method, path] of routes) {
      const body = method === 'POST' ? { body: addBody } : {};
      const response = await context.call(method, path, { ...body, headers: headers() });
      assert.equal([path, response.status], [path, 401]);
      assert.equal(await response.json(), { error: 'E-AUTH', detail: 'Unauthorized' });
    }
    assert.equal(context.done, []);
  });
}

test('a replayed request is 401, also on another route of the same purpose', async ({ call, sign, done }) => {
  const headers = sign({ purpose: 'management' });
  assert.is((await call('GET', '/servers/', { headers })).status, 200);
  assert.is((await call('GET', '/servers/', { headers })).status, 401);
  assert.is((await call('DELETE', '/servers/gpu-0', { headers })).status, 401);
  assert.equal(done, []);
});

test('a body with one byte more than was signed is 401', async ({ call, sign, done }) => {
  const headers = sign({ body: addBody });
  assert.is((await call('POST', '/servers/', { body: `${addBody} `, headers })).status, 401);
  assert.is((await call('POST', '/servers/', { body: addBody, headers })).status, 200);
  assert.is(done.length, 1);
});

test('a bad body with bad authentication is 401, with good authentication 422', async ({ call }) => {
  assert.is((await call('POST', '/servers/', { body: 'x', headers: signedAt(nowMs - 60_000) })).status, 401);
  assert.is((await call('POST', '/servers/', { body: 'x' })).status, 422);
});

test('a POST must sign the hash of its body, even of none', async ({ call, sign }) => {
  assert.is((await call('POST', '/servers/', { headers: sign({ purpose: 'management' }) })).status, 401);
  assert.is((await call('POST', '/servers/', { headers: sign({ body: '' }) })).status, 422);
});

test('the body is not read before the headers are right', async ({ url }) => {
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    'POST /servers/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nContent-Type: application/json\r\n\r\n{',
  );
  const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
  socket.destroy();
  assert.match(answer, /^HTTP\/1\.1 401 /);
});

test('a body beyond 1 MiB is refused as too large, not as an internal error', async ({ call }) => {
  const body = ' '.repeat(1024 * 1024 + 1);
  assert.is((await call('POST', '/servers/', { body })).status, 413);
});

test('ping and health need no signature', async ({ url }) => {
  assert.equal(await (await fetch(`${url}/ping`)).json(), { message: 'pong' });
  assert.equal(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' });
});

test.run();
