import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { bodyHash } from '../signing/sign.ts';
import { verifySignature } from '../signing/sr25519.ts';
import { createValidatorClient, type FullValidatorClient } from './client.ts';
import { type Asked, fakeClock, type HttpValidator, miner, startHttpValidator } from './testing/http-validator.ts';

interface Context {
  validator: HttpValidator;
  client: FullValidatorClient;
}

const test = suite<Context>('validator calls');
const log = pino({ level: 'silent' });
const node = {
  uuid: '0123456789abcdef0123456789abcdef',
  name: 'NVIDIA H200',
  memory: 150_754_820_096,
  clock_rate: 1_980_000,
  ecc: undefined,
  device_index: 0,
  gpu_identifier: 'h200',
  verification_host: '203.0.113.10',
  verification_port: 30443,
};

test.before.each(async (context) => {
  context.validator = await startHttpValidator();
  const { config } = context.validator;
  const options = { config, signer: miner, clock: fakeClock(), log, random: () => 0.5 };
  context.client = createValidatorClient({ ...options, timeouts: { requestMs: 5_000 } });
});
test.after.each(({ validator }) => validator.close());

function tailFits({ headers }: Asked, tail: string): boolean {
  const message = `${miner.address}:${headers['x-chutes-nonce']}:${tail}`;
  return verifySignature(Buffer.from(String(headers['x-chutes-signature']), 'hex'), message, miner.publicKey);
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof MinerError ? `${error.code} ${error.message}` : `unexpected ${error}`),
  );
}

interface Case {
  what: string;
  call(client: FullValidatorClient): Promise<unknown>;
  route: string;
  /** The word signed; undefined: the hash of the body. */
  purpose?: string;
  body?: unknown;
  answer: [status: number, body: string];
  result: unknown;
  /** How often it is sent while the connection breaks. */
  attempts: number;
}

const cases: Case[] = [
  {
    what: 'announcing an instance',
    call: (c) => c.announceInstance('c1', ['a', 'b'], '203.0.113.10', 30123),
    route: 'POST /instances/c1/',
    body: { node_ids: ['a', 'b'], host: '203.0.113.10', port: 30123 },
    answer: [202, '{"instance_id":"i1","active":false}'],
    result: 'i1',
    attempts: 1,
  },
  {
    what: 'activating an instance',
    call: (c) => c.activateInstance('c1', 'i 1'),
    route: 'PATCH /instances/c1/i%201',
    body: { active: true },
    answer: [200, '{"instance_id":"i1","verified":true}'],
    result: true,
    attempts: 3,
  },
  {
    what: 'advertising a TEE server',
    call: (c) => c.advertiseServer({ serverId: 's1', name: 'gpu-0', host: '203.0.113.10' }, [node]),
    route: 'POST /servers/',
    body: { host: '203.0.113.10', id: 's1', name: 'gpu-0', gpus: [JSON.parse(JSON.stringify(node))] },
    answer: [201, '{"message":"ok"}'],
    result: undefined,
    attempts: 1,
  },
  {
    what: 'giving a job back',
    call: (c) => c.deleteJob('j/1'),
    route: 'DELETE /miner/jobs/j%2F1',
    purpose: 'miner',
    answer: [200, 'null'],
    result: undefined,
    attempts: 3,
  },
  {
    what: 'giving a job back that is gone',
    call: (c) => c.deleteJob('j1'),
    route: 'DELETE /miner/jobs/j1',
    purpose: 'miner',
    answer: [404, '{"detail":"gone"}'],
    result: undefined,
    attempts: 3,
  },
  {
    what: 'listing servers',
    call: (c) => c.servers(),
    route: 'GET /miner/servers/',
    purpose: 'miner',
    answer: [
      200,
      '{"servers":[{"server_id":"s1","name":"gpu-0","ip":"203.0.113.10","is_tee":true,"version":"1.4.0","gpus":[{"uuid":"a"}]},{"server_id":"s2","name":null}]}',
    ],
    result: [
      { serverId: 's1', name: 'gpu-0', ip: '203.0.113.10', tee: true, version: '1.4.0', gpuIds: ['a'] },
      { serverId: 's2', name: undefined, ip: undefined, tee: false, version: undefined, gpuIds: [] },
    ],
    attempts: 3,
  },
  {
    what: 'listing servers at a validator that knows none',
    call: (c) => c.servers(),
    route: 'GET /miner/servers/',
    purpose: 'miner',
    answer: [404, '{"detail":"Not Found"}'],
    result: undefined,
    attempts: 3,
  },
  {
    what: 'listing GPUs',
    call: (c) => c.inventory(),
    route: 'GET /miner/inventory',
    purpose: 'miner',
    answer: [
      200,
      '[{"gpu_id":"a","active":true,"chute_id":"c1"},{"gpu_id":"b","verification_error":"slow","active":null}]',
    ],
    result: [
      { gpuId: 'a', verificationError: undefined, chuteId: 'c1', active: true },
      { gpuId: 'b', verificationError: 'slow', chuteId: undefined, active: false },
    ],
    attempts: 3,
  },
];

for (const { what, call, route, purpose, body, answer, result, attempts } of cases) {
  test(`${what} asks ${route} and reads the answer`, async ({ validator, client }) => {
    validator.replies[route] = answer;
    assert.equal(await call(client), result);
    const [asked] = validator.asked as [Asked];
    assert.is(`${asked.method} ${asked.url}`, route);
    if (body === undefined) assert.is(asked.body, '');
    else assert.equal(JSON.parse(asked.body), body);
    assert.ok(tailFits(asked, purpose ?? bodyHash(asked.body)));
  });

  test(`${what} is sent ${attempts} times while the connection breaks`, async ({ validator, client }) => {
    validator.replies[route] = 'hang up';
    assert.match(await codeOf(call(client)), /^E-VALIDATOR-UNREACHABLE /);
    assert.is(validator.asked.length, attempts);
    assert.is(new Set(validator.asked.map((one) => one.headers['x-chutes-signature'])).size, attempts);
  });

  test(`${what} reports a refusal with status and words, and is not repeated`, async ({ validator, client }) => {
    validator.replies[route] = [423, '{"detail":"at capacity"}'];
    assert.match(await codeOf(call(client)), /^E-VALIDATOR .*423.*at capacity/);
    assert.is(validator.asked.length, 1);
  });
}

const unreadable: [string, string, (client: FullValidatorClient) => Promise<unknown>][] = [
  ['GET /miner/servers/', '{"servers":{}}', (c) => c.servers()],
  ['GET /miner/inventory', '{}', (c) => c.inventory()],
  ['POST /instances/c1/', '{}', (c) => c.announceInstance('c1', [], 'h', 1)],
];
for (const [route, text, call] of unreadable) {
  test(`${route} that answers ${text} cannot be read`, async ({ validator, client }) => {
    validator.replies[route] = [200, text];
    assert.match(await codeOf(call(client)), /^E-VALIDATOR .*cannot be read/);
  });
}

test('a route that the validator has removed is a refusal, not a success', async ({ client }) => {
  assert.match(await codeOf(client.announceInstance('c1', [], 'h', 1)), /^E-VALIDATOR .*404/);
  assert.match(await codeOf(client.activateInstance('c1', 'i1')), /^E-VALIDATOR .*404/);
  assert.match(await codeOf(client.inventory()), /^E-VALIDATOR .*404/);
});

test.run();
