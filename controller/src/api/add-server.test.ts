import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ErrorCode, MinerError } from '../domain/errors.ts';
import { addBody, type Context, stranger, useApi } from './testing/api.ts';

const test = suite<Context>('API add server');
useApi(test);

function bodyWith(change: Record<string, unknown>): string {
  return JSON.stringify({ ...JSON.parse(addBody), ...change });
}

test('progress is streamed as it happens, one data line and one blank line each, and nothing else', async (context) => {
  const { promise: heard, resolve: goOn } = Promise.withResolvers<void>();
  context.options.nodes.prepare = async () => ({
    async run(progress) {
      progress('one');
      await heard;
      context.clock.ms += 1500;
      progress('two "quoted"\nüber');
    },
  });
  const response = await context.call('POST', '/servers/', { body: addBody });
  assert.equal([response.status, response.headers.get('content-type')], [200, null]);
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    goOn();
  }
  assert.is(
    text,
    'data: {"timestamp":"2025-01-01T00:00:00.000","message":"one"}\n\n' +
      'data: {"timestamp":"2025-01-01T00:00:01.500","message":"two \\"quoted\\"\\nüber"}\n\n',
  );
});

test('the request becomes the configuration of the server', async ({ call, done }) => {
  await (await call('POST', '/servers/', { body: addBody })).text();
  const expected = {
    name: 'gpu-9',
    validator: stranger.address,
    hourlyCost: 1.5,
    gpuShortRef: 'h100_sxm',
    agentApi: 'http://203.0.113.10:32000',
    locked: false,
  };
  assert.equal(done, [`prepare ${JSON.stringify(expected)}`]);
});

const invalid: [string, string, { loc: string[]; type: string; msg: RegExp }][] = [
  ['no JSON', 'name=gpu-9', { loc: ['body'], type: 'json_invalid', msg: /not JSON/ }],
  ['bytes that are no text', '\u0000', { loc: ['body'], type: 'json_invalid', msg: /not JSON/ }],
  ['a list', '[]', { loc: ['body'], type: 'dict_type', msg: /object/ }],
  ['null', 'null', { loc: ['body'], type: 'dict_type', msg: /object/ }],
  [
    'a missing field',
    bodyWith({ gpu_short_ref: undefined }),
    { loc: ['body', 'gpu_short_ref'], type: 'missing', msg: /Field required/ },
  ],
  [
    'a cost that is text',
    bodyWith({ hourly_cost: '1.5' }),
    { loc: ['body', 'hourly_cost'], type: 'float_type', msg: /number/ },
  ],
  ['a negative cost', bodyWith({ hourly_cost: -1 }), { loc: ['body', 'hourly_cost'], type: 'value_error', msg: />=0/ }],
  [
    'a name that is a path',
    bodyWith({ name: '../gpu' }),
    { loc: ['body', 'name'], type: 'value_error', msg: /dashes/ },
  ],
  ['a name that is a number', bodyWith({ name: 9 }), { loc: ['body', 'name'], type: 'string_type', msg: /string/ }],
  [
    'a validator that is no address',
    bodyWith({ validator: 'bob' }),
    { loc: ['body', 'validator'], type: 'value_error', msg: /ss58/ },
  ],
  [
    'an agent that is no URL',
    bodyWith({ agent_api: 'file:///etc/passwd' }),
    { loc: ['body', 'agent_api'], type: 'value_error', msg: /URL/ },
  ],
];
for (const [what, body, { loc, type, msg }] of invalid) {
  test(`${what} is 422 and says where`, async ({ call, done }) => {
    const response = await call('POST', '/servers/', { body });
    assert.is(response.status, 422);
    const answer = (await response.json()) as {
      error: string;
      detail: { loc: string[]; msg: string; type: string }[];
    };
    assert.is(answer.error, 'E-REQUEST');
    const [found, ...others] = answer.detail;
    assert.equal([found?.loc, found?.type, others], [loc, type, []]);
    assert.match(found?.msg ?? '', msg);
    assert.equal(done, []);
  });
}

test('every problem of a body is told at once', async ({ call }) => {
  const response = await call('POST', '/servers/', { body: '{}' });
  const { detail } = (await response.json()) as { detail: { loc: string[]; type: string }[] };
  assert.equal(
    detail.map(({ loc, type }) => [loc[1], type]),
    ['name', 'validator', 'hourly_cost', 'gpu_short_ref'].map((field) => [field, 'missing']),
  );
});

test('a request without an agent is 400', async ({ call }) => {
  for (const agent_api of [null, undefined, '']) {
    assert.is((await call('POST', '/servers/', { body: bodyWith({ agent_api }) })).status, 400);
  }
});

const statuses: [ErrorCode, number][] = [
  ['E-AGENT-UNREACHABLE', 502],
  ['E-NAME-CONTEXT', 400],
  ['E-NODE', 404],
  ['E-ALREADY-ADDED', 409],
  ['E-VALIDATOR', 500],
  ['E-VALIDATOR-UNREACHABLE', 500],
  ['E-GPU-REF', 400],
  ['E-USAGE', 400],
];
for (const [code, status] of statuses) {
  test(`a check that fails with ${code} is ${status}`, async (context) => {
    context.options.nodes.prepare = () => Promise.reject(new MinerError(code, 'what is wrong'));
    const response = await context.call('POST', '/servers/', { body: addBody });
    assert.is(response.status, status);
    assert.equal(await response.json(), { error: code, detail: 'what is wrong' });
  });
}

function failing(error: Error): Context['options']['nodes']['prepare'] {
  return async () => ({
    async run(progress) {
      progress('FAILED: said');
      throw error;
    },
  });
}

async function readAll(response: Response): Promise<{ text: string; complete: boolean }> {
  let text = '';
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    return { text, complete: true };
  } catch {
    return { text, complete: false };
  }
}

test('after a failure the last message arrives and the stream is cut off', async (context) => {
  context.options.nodes.prepare = failing(new MinerError('E-VERIFICATION', 'no'));
  const { text, complete } = await readAll(await context.call('POST', '/servers/', { body: addBody }));
  assert.match(text, '"FAILED: said"');
  assert.not(complete);
});

test('after GPUs the validator knows already the stream ends normally', async (context) => {
  context.options.nodes.prepare = failing(new MinerError('E-VALIDATOR', 'known', { detail: { status: 409 } }));
  const { text, complete } = await readAll(await context.call('POST', '/servers/', { body: addBody }));
  assert.match(text, '"FAILED: said"');
  assert.ok(complete);
});

test('a caller that goes away aborts the adding', async (context) => {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  context.options.nodes.prepare = async () => ({
    async run(progress, signal) {
      signal.addEventListener('abort', () => resolve());
      progress('started');
      await aborted;
      progress('nobody listens');
    },
  });
  const response = await context.call('POST', '/servers/', { body: addBody });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await aborted;
});

test.run();
