import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serviceHeaders } from '@miner/controller/signing/sign.ts';
import { parseJson, toJson } from '@miner/simulator/lossless.ts';
import { checkProof, encryptWith, infoAnswer, prove } from '@miner/simulator/refc1.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { GpuProof } from '../backend.ts';
import type { RunningBootstrap } from './start.ts';
import { type Ask, ask, gpus, miner, sizes, startBootstrap, stranger, validator } from './testing/bootstrap.ts';

const test = suite<{ server: RunningBootstrap }>('bootstrap server');
test.before(async (context) => {
  context.server = await startBootstrap();
});
test.after(({ server }) => server.stop());

const [first, second] = gpus as [(typeof gpus)[number], (typeof gpus)[number]];
const challenge = `01${'ab'.repeat(31)}`;

test('the miner gets the records of all GPUs', async ({ server }) => {
  const { status, text } = await ask(`${server.url}/devices`, { by: miner });
  assert.is(status, 200);
  assert.equal(JSON.parse(text), { devices: gpus });
});

test('a validator gets the answer to its device question', async ({ server }) => {
  const { status, text } = await ask(`${server.url}/info?challenge=${challenge}`);
  assert.equal([status, text], [200, infoAnswer(challenge, gpus)]);
});

test('a validator gets proofs of all GPUs and its texts, with a seed of 63 bits', async ({ server }) => {
  const seed = 9223372036854775807n;
  const ciphertext = {
    [first.uuid]: encryptWith(prove(seed, 2, first, sizes), 'decrypt me'),
    [second.uuid]: encryptWith(prove(seed, 2, first, sizes), 'meant for the other'),
  };
  const { status, text } = await ask(`${server.url}/prove`, { body: toJson({ seed, iterations: 2, ciphertext }) });
  assert.is(status, 200);
  const reply = parseJson(text) as {
    devices: unknown;
    seed: bigint;
    plaintext: object;
    proof: Record<string, GpuProof>;
  };
  assert.equal([reply.devices, reply.seed, reply.plaintext], [gpus, seed, { [first.uuid]: 'decrypt me' }]);
  for (const [index, gpu] of gpus.entries()) {
    const proof = reply.proof[gpu.uuid];
    assert.equal([proof?.device_id, proof?.device_uuid, proof?.device_name], [index, gpu.uuid, gpu.name]);
    const spot = { iteration: 1, index: 1 };
    assert.ok(proof && checkProof(gpu, seed, { iterations: 2, sizes }, proof.work_product, spot));
  }
});

interface Refused extends Ask {
  what: string;
  path: string;
}

const body = '{"seed":1}';
const headersOf = (by = validator, content: object = { purpose: 'graval' }) =>
  serviceHeaders(by, miner.address, content);
const without = (name: string) => Object.fromEntries(Object.entries(headersOf()).filter(([key]) => key !== name));
const refused: Refused[] = [
  { what: 'a stranger', path: '/info?challenge=00', by: stranger },
  { what: 'the miner in the place of a validator', path: `/info?challenge=${challenge}`, by: miner },
  { what: 'a validator in the place of the miner', path: '/devices' },
  { what: 'another purpose', path: `/info?challenge=${challenge}`, signed: { purpose: 'management' } },
  { what: 'a signature over another body', path: '/prove', body, signed: { body: '{"seed":2}' } },
  { what: 'a signature over the purpose in place of the body', path: '/prove', body, signed: { purpose: 'graval' } },
  { what: 'an old signature', path: `/info?challenge=${challenge}`, age: 31 },
  { what: 'a signature from the future', path: `/info?challenge=${challenge}`, age: -31 },
  { what: 'no headers at all', path: '/devices', headers: {} },
  { what: 'another miner', path: '/devices', headers: serviceHeaders(miner, stranger.address, { purpose: 'graval' }) },
  ...['X-Chutes-Miner', 'X-Chutes-Validator', 'X-Chutes-Nonce', 'X-Chutes-Signature'].map((name) => ({
    what: `no ${name}`,
    path: `/info?challenge=${challenge}`,
    headers: without(name),
  })),
  { what: 'a token request of the miner', path: '/remote_token', body: '{}', by: miner },
];

for (const { what, path, ...sent } of refused) {
  test(`${what} is answered with 401 and nothing more`, async ({ server }) => {
    assert.equal(await ask(server.url + path, sent), {
      status: 401,
      text: '{"error":"UNAUTHORIZED","detail":"Unauthorized"}',
    });
  });
}

test('a signature counts once', async ({ server }) => {
  const headers = headersOf();
  const url = `${server.url}/info?challenge=${challenge}`;
  assert.is((await ask(url, { headers })).status, 200);
  assert.is((await ask(url, { headers })).status, 401);
});

const wrong: [what: string, path: string, body: string | undefined, status: number][] = [
  ['a challenge that is none', '/info?challenge=xyz', undefined, 422],
  ['no challenge', '/info', undefined, 422],
  ['no JSON', '/prove', 'seed', 422],
  ['no seed', '/prove', '{}', 422],
  ['a negative seed', '/prove', '{"seed":-1}', 422],
  ['a seed of 64 bits', '/prove', '{"seed":9223372036854775808}', 422],
  ['a seed that is no integer', '/prove', '{"seed":1.5}', 422],
  ['too many iterations', '/prove', '{"seed":1,"iterations":11}', 422],
  ['a text that is no base64', '/prove', `{"seed":1,"ciphertext":{"${'a'.repeat(32)}":"%%%%"}}`, 422],
  ['a text without room for a vector', '/prove', `{"seed":1,"ciphertext":{"${'a'.repeat(32)}":"AAAA"}}`, 422],
  ['a text for a foreign GPU', '/prove', `{"seed":1,"ciphertext":{"${'f'.repeat(32)}":"${'AAAA'.repeat(12)}"}}`, 422],
  ['a body of two MiB', '/prove', ' '.repeat(2 ** 21), 413],
  ['another path', '/metrics', undefined, 404],
];

for (const [what, path, sent, status] of wrong) {
  test(`${what} is answered with ${status} and a reason`, async ({ server }) => {
    const answer = await ask(server.url + path, sent === undefined ? {} : { body: sent });
    assert.is(answer.status, status, answer.text);
    assert.match(answer.text, /"error":"(BAD_INPUT|NOT_FOUND)","detail":"[^"]+"/);
  });
}

test('a token is fetched from the API of a validator, signed either way, and from nowhere else', async () => {
  const paths: string[] = [];
  const api = createServer((request, response) => {
    paths.push(request.url ?? '');
    if (request.url === '/redirect') response.writeHead(302, { location: '/token' }).end();
    else response.end(request.url === '/token' ? '{"token":"t-1"}' : 'no json');
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const server = await startBootstrap({}, { tokenOrigins: [origin] });
  const url = `${server.url}/remote_token`;
  const request = (token_url: string) => ({ body: JSON.stringify({ token_url }) });
  try {
    assert.equal(await ask(url, request(`${origin}/token`)), { status: 200, text: 't-1' });
    const byPurpose = await ask(url, { ...request(`${origin}/token?2`), signed: { purpose: 'graval' } });
    assert.is(byPurpose.status, 502, 'accepted, and asked');
    assert.is((await ask(url, request(`${origin}/redirect`))).status, 502, 'no redirect is followed');
    assert.equal(paths, ['/token', '/token?2', '/redirect']);
    const userinfo = origin.replace('http://', 'http://user:secret@');
    for (const elsewhere of [
      'http://169.254.169.254/',
      'file:///etc/passwd',
      `${userinfo}/token`,
      'no url',
      server.url,
    ])
      assert.is((await ask(url, request(elsewhere))).status, 403, elsewhere);
    assert.is(paths.length, 3);
  } finally {
    await server.stop();
    api.close();
  }
});

test.run();
