// The answers of a whole API held against the schemas that its document is made from: strict ones, so an extra column fails as well.

import { parse } from 'lossless-json';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import type { StoredDecision } from '../domain/ports.ts';
import * as schemas from './schemas.ts';
import { addBody, type Context, deployment, useApi } from './testing/api.ts';

const test = suite<Context>('API contract');
useApi(test);

/** Integers as bigint where a double would lose digits. */
function readExact(text: string): unknown {
  return parse(text, null, (digits) =>
    Number.isSafeInteger(Number(digits)) || digits.includes('.') ? Number(digits) : BigInt(digits),
  );
}

const spec: StoredDecision['decision']['spec'] = {
  deploymentId: 'd1',
  chuteId: 'chute-1',
  chuteName: 'llama',
  version: 'v1',
  validator: 'v',
  server: 'gpu-0',
  gpuIds: ['a'],
  ports: [],
  configId: 'SECRET CONFIG',
  jobId: undefined,
  diskGb: 10,
  preemptible: true,
  decisionId: 'one',
  reason: 'bounty',
};

const decisions: StoredDecision[] = [
  {
    decisionId: 'one',
    decidedAt: 1735689600_000,
    commit: 'c0ffee',
    decision: {
      kind: 'deploy',
      decisionId: 'one',
      spec,
      numbers: { value: 1.5, bound: Number.POSITIVE_INFINITY },
      alternatives: [{ chuteName: 'other', server: 'gpu-1', value: Number.NaN, because: 'less value' }],
      replicasBefore: 2,
    },
  },
  {
    decisionId: 'two',
    decidedAt: 1735689600_000,
    commit: undefined,
    decision: { kind: 'remove', decisionId: 'two', spec, reason: 'pod-lost', because: 'its pod is gone' },
  },
];

const answers: [method: string, path: string, schema: z.ZodType, status?: number][] = [
  ['GET', '/servers/', z.array(schemas.server)],
  ['GET', '/servers/gpu-0/lock', schemas.server],
  ['GET', '/servers/uid-gpu-0/unlock', schemas.server],
  ['GET', '/servers/gpu-0/delete_preflight', schemas.preflight],
  ['DELETE', '/servers/gpu-0', schemas.deletion],
  ['DELETE', '/servers/gpu-0/deployments', schemas.purge],
  ['DELETE', '/deployments/purge', schemas.purge],
  ['DELETE', '/deployments/d1', schemas.singlePurge],
  ['GET', '/deployments/', z.array(schemas.deployment)],
  ['GET', '/decisions', z.array(schemas.decision)],
  ['GET', '/plan', schemas.plan],
  ['GET', '/plan/world', schemas.world],
  ['GET', '/ping', schemas.pong],
  ['GET', '/healthz', schemas.alive],
  ['GET', '/readyz', schemas.ready],
  ['GET', '/nowhere', schemas.problem, 404],
  ['DELETE', '/deployments/nope', schemas.problem, 404],
  ['GET', '/decisions?limit=0', schemas.problem, 422],
];
for (const [method, path, schema, status = 200] of answers) {
  test(`${method} ${path} answers in its shape`, async (context) => {
    context.decisions.push(...decisions);
    context.rows.push(
      deployment('d3', 'gone-server', [9], { chuteId: 'forgotten', nodePorts: [], committedAt: undefined }),
    );
    const response = await context.call(method, path);
    assert.is(response.status, status);
    const read = schema.safeParse(readExact(await response.text()));
    assert.ok(read.success, read.success ? '' : z.prettifyError(read.error));
  });
}

test('a plan tells what would be decided and what is held back, as not committed', async (context) => {
  context.decisions.push(...decisions);
  const { decisions: planned, held, blocked } = schemas.plan.parse(await (await context.call('GET', '/plan')).json());
  assert.equal(
    planned.map(({ decision_id, commit }) => [decision_id, commit]),
    [
      ['one', null],
      ['two', null],
    ],
  );
  assert.equal([held, blocked], [['waits'], ['too dear']]);
  const asked = schemas.plan.parse(await (await context.call('GET', '/plan?chute=flux')).json());
  assert.equal(asked.why_not, [{ chute_id: 'c', chute_name: 'flux', reasons: ['no GPU'] }]);
});

test('a body of the wrong form is answered in the shape of a problem', async ({ call }) => {
  const response = await call('POST', '/servers/', { body: addBody.replace('1.5', '"much"') });
  assert.is(response.status, 422);
  schemas.problem.parse(await response.json());
});

test('decisions tell the numbers that decided and what lost, and no launch config', async (context) => {
  context.decisions.push(...decisions);
  const text = await (await context.call('GET', '/decisions')).text();
  assert.not.match(text, 'SECRET');
  const [deployed, removed] = JSON.parse(text);
  assert.equal(deployed.numbers, { value: 1.5, bound: null });
  assert.equal(deployed.alternatives, [{ chute_name: 'other', server: 'gpu-1', value: null, because: 'less value' }]);
  assert.equal(
    [deployed.reason, deployed.because, deployed.replicas_before, deployed.commit],
    ['bounty', null, 2, 'c0ffee'],
  );
  assert.equal(
    [removed.reason, removed.because, removed.replicas_before, removed.commit],
    ['pod-lost', 'its pod is gone', null, null],
  );
});

const questions: [query: string, asked: string][] = [
  ['', 'decisions 50 {}'],
  ['?limit=7', 'decisions 7 {}'],
  ['?deployment_id=d1&chute_id=c1', 'decisions 50 {"deploymentId":"d1","chuteId":"c1"}'],
  ['?server=gpu-0', 'decisions 50 {"server":"gpu-0"}'],
  ['?server=uid-gpu-0', 'decisions 50 {"server":"gpu-0"}'],
  ['?server=deleted-long-ago', 'decisions 50 {"server":"deleted-long-ago"}'],
];
for (const [query, asked] of questions) {
  test(`decisions${query} asks the store for just those`, async ({ call, done }) => {
    assert.is((await call('GET', `/decisions${query}`)).status, 200);
    assert.equal(done, [asked]);
  });
}

for (const query of [
  'limit=0',
  'limit=1001',
  'limit=many',
  'limit=1e99',
  'limit=1&limit=2',
  'sever=gpu-0',
  'server=a&server=b',
  '__proto__=1',
]) {
  test(`decisions?${query} is 422 and says where`, async ({ call, done }) => {
    const response = await call('GET', `/decisions?${query}`);
    assert.is(response.status, 422);
    const { detail } = (await response.json()) as { detail: { loc: string[] }[] };
    assert.is(detail[0]?.loc[0], 'query');
    assert.equal(done, []);
  });
}

test('/deployments/ lists what is wanted, not what drains', async ({ call, rows }) => {
  rows.push(deployment('d3', 'gpu-1', [3], { removedAt: 1 }));
  const list = (await (await call('GET', '/deployments/')).json()) as { deployment_id: string; server_id: string }[];
  assert.equal(
    list.map((one) => [one.deployment_id, one.server_id]),
    [
      ['d1', 'uid-gpu-0'],
      ['d2', 'uid-gpu-0'],
    ],
  );
});

test.run();
