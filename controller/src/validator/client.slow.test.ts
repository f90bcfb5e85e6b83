import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import { bodyHash } from '../signing/sign.ts';
import { verifySignature } from '../signing/sr25519.ts';
import { createVerifier } from '../signing/verify.ts';
import { createValidatorClient, type FullValidatorClient } from './client.ts';
import {
  type Asked,
  fakeClock,
  type HttpValidator,
  miner,
  type Reply,
  startHttpValidator,
} from './testing/http-validator.ts';

interface Context {
  validator: HttpValidator;
  client: FullValidatorClient;
  clock: ReturnType<typeof fakeClock>;
}

const test = suite<Context>('validator client');
const chuteId = '11111111-2222-4333-8444-555555555555';
const gpu = '0123456789abcdef0123456789abcdef';
const log = pino({ level: 'silent' });

test.before.each(async (context) => {
  context.validator = await startHttpValidator();
  context.clock = fakeClock();
  const { config } = context.validator;
  context.client = createValidatorClient({
    config,
    signer: miner,
    clock: context.clock,
    log,
    random: () => 0.5,
    timeouts: { requestMs: 400 },
  });
});
test.after.each(({ validator }) => validator.close());

/** Whether the request carries the miner's signature over `tail`, as a validator checks it. */
function isSigned({ headers }: Asked, tail: string): boolean {
  const message = `${headers['x-chutes-hotkey']}:${headers['x-chutes-nonce']}:${tail}`;
  const signature = Buffer.from(String(headers['x-chutes-signature']), 'hex');
  return headers['x-chutes-hotkey'] === miner.address && verifySignature(signature, message, miner.publicKey);
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof MinerError ? `${error.code} ${error.message}` : `unexpected ${error}`),
  );
}

const node = {
  uuid: gpu,
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85_017_624_576,
  clock_rate: 1_980_000,
  ecc: undefined,
  device_index: 0,
  gpu_identifier: 'h100_sxm',
  verification_host: '203.0.113.10',
  verification_port: 30123,
};

const signed: [string, (client: FullValidatorClient) => Promise<unknown>, string, string, Reply][] = [
  [
    'launch',
    (c) => c.launchConfig(chuteId, 'j 1'),
    'GET',
    `/instances/launch_config?chute_id=${chuteId}&job_id=j+1`,
    [200, '{"token":"t","config_id":"c"}'],
  ],
  ['instances', (c) => c.deleteInstance(chuteId, 'i/1'), 'DELETE', `/instances/${chuteId}/i%2F1`, [200, '{}']],
  ['miner', (c) => c.chute(chuteId, '2.0'), 'GET', `/miner/chutes/${chuteId}/2.0`, [404, '']],
  [
    'graval',
    (c) => c.verificationStatus('a::b'),
    'GET',
    '/nodes/verification_status?task_id=a%3A%3Ab',
    [200, '{"status":"pending"}'],
  ],
  ['tee', (c) => c.forgetServer('s1', []), 'DELETE', '/servers/s1', [200, '{}']],
];
for (const [purpose, call, method, url, reply] of signed) {
  test(`${method} ${url.split('?')[0]} is signed with the purpose ${purpose}`, async ({ validator, client }) => {
    validator.replies[`${method} ${url.split('?')[0]}`] = reply;
    await call(client);
    assert.equal(
      validator.asked.map((one) => `${one.method} ${one.url}`),
      [`${method} ${url}`],
    );
    assert.ok(isSigned(validator.asked[0] as Asked, purpose));
  });
}

test('POST /nodes/ is signed with the hash of the body sent, and leaves out what is undefined', async ({
  validator,
  client,
}) => {
  validator.replies['POST /nodes/'] = [202, '{"task_id":"hk::1","nodes":[{"seed":9223372036854775807}]}'];
  const answer = await client.advertiseNodes({ serverId: 's1', name: 'gpu-0' }, [node]);
  assert.equal(answer, { taskId: 'hk::1', seed: 9223372036854775807n });
  const [asked] = validator.asked as [Asked];
  assert.ok(isSigned(asked, bodyHash(asked.body)));
  assert.is(asked.headers['content-type'], 'application/json');
  const { ecc, ...known } = node;
  assert.equal(JSON.parse(asked.body), { server_id: 's1', server_name: 'gpu-0', nodes: [known] });
});

const seeds: [string, bigint | undefined | RegExp][] = [
  ['[{"seed":7},{"seed":7}]', 7n],
  ['[{"seed":null}]', undefined],
  ['[{}]', undefined],
  ['[{"seed":7},{"seed":9223372036854775807}]', /E-VALIDATOR .*2 seeds/],
  ['[{"seed":"7"}]', /E-VALIDATOR .*cannot be read/],
];
for (const [nodes, expected] of seeds) {
  test(`the seed of nodes ${nodes} is ${expected}`, async ({ validator, client }) => {
    validator.replies['POST /nodes/'] = [202, `{"task_id":"skip","nodes":${nodes}}`];
    const answer = client.advertiseNodes({ serverId: 's1', name: 'gpu-0' }, [node]);
    if (expected instanceof RegExp) assert.match(await codeOf(answer), expected);
    else assert.is((await answer).seed, expected);
  });
}

test('a launch config is granted with token and config id', async ({ validator, client }) => {
  validator.replies['GET /instances/launch_config'] = [200, '{"token":"secret-token","config_id":"c1"}'];
  assert.equal(await client.launchConfig(chuteId), { granted: true, token: 'secret-token', configId: 'c1' });
});

test('a launch config names job and server where there are any', async ({ validator, client }) => {
  for (const rest of [[], ['j1'], [undefined, 's 1'], ['j1', 's1']]) await client.launchConfig(chuteId, ...rest);
  assert.equal(
    validator.asked.map(({ url }) => url.split(chuteId)[1]),
    ['', '&job_id=j1', '&server_id=s+1', '&job_id=j1&server_id=s1'],
  );
});

const refusals: [Reply, number, RegExp][] = [
  [[423, '{"detail":"at capacity"}'], 423, /^at capacity$/],
  [[403, '<html>\n  no  </html>'], 403, /^<html> no <\/html>$/],
  [[500, ''], 500, /^status 500$/],
  [[307, ''], 307, /^status 307$/],
  [[200, '{"token":"secret-token"}'], 200, /no token and config_id/],
  ['hang up', 0, /unreachable/],
];
for (const [reply, status, detail] of refusals) {
  test(`a launch config is asked for once, whatever comes back: ${JSON.stringify(reply)}`, async ({
    validator,
    client,
  }) => {
    validator.replies['GET /instances/launch_config'] = reply;
    const answer = await client.launchConfig(chuteId);
    assert.is(validator.asked.length, 1);
    assert.not(answer.granted);
    assert.is('status' in answer ? answer.status : undefined, status);
    assert.match('detail' in answer ? answer.detail : '', detail);
    assert.not(JSON.stringify(answer).includes('secret-token'));
  });
}

test('a read is tried three times when the connection breaks, with a new signature each', async ({
  validator,
  client,
  clock,
}) => {
  validator.replies['GET /miner/chutes/x/1'] = ['hang up', 'hang up', [404, '']];
  assert.is(await client.chute('x', '1'), undefined);
  assert.equal(clock.sleeps, [500, 1000]);
  assert.is(new Set(validator.asked.map((one) => one.headers['x-chutes-signature'])).size, 3);
});

test('a read that stays without an answer is E-VALIDATOR-UNREACHABLE after three tries', async ({
  validator,
  client,
}) => {
  validator.replies['GET /nodes/supported'] = 'hang up';
  assert.match(await codeOf(client.supportedGpus()), /^E-VALIDATOR-UNREACHABLE /);
  assert.is(validator.asked.length, 3);
});

test('an answer that never comes ends at the time limit', async ({ validator, client }) => {
  validator.replies['DELETE /instances/a/b'] = () => {};
  assert.match(await codeOf(client.deleteInstance('a', 'b')), /^E-VALIDATOR-UNREACHABLE .*timeout/);
  assert.is(validator.asked.length, 3, 'a deletion may arrive twice');
});

test('a refused read is not tried again', async ({ validator, client }) => {
  validator.replies['GET /nodes/supported'] = [503, '{"detail":"down"}'];
  assert.match(await codeOf(client.supportedGpus()), /^E-VALIDATOR .*503.*down/);
  assert.is(validator.asked.length, 1);
});

test('a write is sent once even if the connection breaks', async ({ validator, client }) => {
  validator.replies['POST /nodes/'] = 'hang up';
  assert.match(await codeOf(client.advertiseNodes({ serverId: 's', name: 'n' }, [node])), /^E-VALIDATOR-UNREACHABLE /);
  assert.is(validator.asked.length, 1);
});

test('the supported GPUs are the keys of the table', async ({ validator, client }) => {
  validator.replies['GET /nodes/supported'] = [200, '{"h100_sxm":{"memory":80},"l4":{}}'];
  assert.equal(await client.supportedGpus(), new Set(['h100_sxm', 'l4']));
  assert.is(validator.asked[0]?.headers['x-chutes-signature'], undefined);
});

test('an instance that is already gone counts as deleted, another refusal does not', async ({ validator, client }) => {
  await client.deleteInstance(chuteId, 'i1');
  validator.replies[`DELETE /instances/${chuteId}/i1`] = [401, '{"detail":"no"}'];
  assert.match(await codeOf(client.deleteInstance(chuteId, 'i1')), /^E-VALIDATOR .*401/);
});

const statuses: [string, unknown][] = [
  ['{"status":"pending"}', { status: 'pending' }],
  ['{"status":"verified"}', { status: 'verified' }],
  ['{"status":"error","error":"proof failed"}', { status: 'failed', detail: 'proof failed' }],
  ['{"status":"failed","detail":"too slow"}', { status: 'failed', detail: 'too slow' }],
  ['{"status":"failed"}', { status: 'failed', detail: 'validator reports failed' }],
];
for (const [text, expected] of statuses) {
  test(`verification status ${text}`, async ({ validator, client }) => {
    validator.replies['GET /nodes/verification_status'] = [200, text];
    assert.equal(await client.verificationStatus('hk::1'), expected);
  });
}

test('a validator without server routes is told to forget each GPU', async ({ validator, client }) => {
  validator.replies['DELETE /nodes/a'] = [200, '{}'];
  validator.replies['DELETE /nodes/c'] = [200, '{}'];
  await client.forgetServer('s1', ['a', 'b', 'c']);
  assert.equal(
    validator.asked.map((one) => one.url),
    ['/servers/s1', '/nodes/a', '/nodes/b', '/nodes/c'],
  );
  assert.ok(isSigned(validator.asked[1] as Asked, 'nodes'));
});

test('one GPU that cannot be forgotten does not keep the others from it', async ({ validator, client }) => {
  validator.replies['DELETE /nodes/a'] = [500, ''];
  validator.replies['DELETE /nodes/b'] = 'hang up';
  assert.match(await codeOf(client.forgetServer('s1', ['a', 'b', 'c'])), /2 of 3 GPUs/);
  assert.is(new Set(validator.asked.map((one) => one.url)).size, 4);
});

test('a chute is read from either validator generation', async ({ validator, client }) => {
  const old = {
    chute_id: chuteId,
    version: 'v1',
    image: 'u/n:t',
    ref_str: 'a:b',
    node_selector: { gpu_count: 2 },
    cords: [{}],
  };
  const path = `GET /miner/chutes/${chuteId}/v1`;
  validator.replies[path] = [200, JSON.stringify(old)];
  const first = await client.chute(chuteId, 'v1');
  assert.equal([first?.tee, first?.preemptible, first?.effectiveComputeMultiplier, first?.bounty], [false, true, 1, 0]);
  validator.replies[path] = [
    200,
    JSON.stringify({ ...old, tee: true, bounty: { amount: 7 }, effective_compute_multiplier: 2.5 }),
  ];
  const second = await client.chute(chuteId, 'v1');
  assert.equal([second?.tee, second?.bounty, second?.effectiveComputeMultiplier], [true, 7, 2.5]);
  validator.replies[path] = [200, '{"chute_id":1}'];
  assert.match(await codeOf(client.chute(chuteId, 'v1')), /^E-VALIDATOR .*cannot be read/);
});

test('a request for the validator is not accepted by a service of the miner', async ({ validator, client }) => {
  await client.forgetServer('s1', []);
  const [asked] = validator.asked as [Asked];
  const { verify } = createVerifier({ miner: miner.address, allowedSigners: [miner.address], clock: systemClock });
  assert.not(verify({ method: 'DELETE', headers: asked.headers, body: Buffer.alloc(0), purpose: 'tee' }).accepted);
});

test.run();
