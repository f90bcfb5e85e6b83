import { createHmac } from 'node:crypto';
import fastify from 'fastify';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveHook } from './hook.ts';

const secret = 'a-secret-of-the-test';
const body = JSON.stringify({ ref: 'refs/heads/main' });
const signature = createHmac('sha256', secret).update(body).digest('hex');

function scene(refresh: () => Promise<void> = async () => undefined) {
  let looks = 0;
  const problems: unknown[] = [];
  const app = fastify({ logger: false });
  const onProblem = (error: unknown) => void problems.push(error);
  const counted = () => {
    looks += 1;
    return refresh();
  };
  serveHook(app, { secret, refresh: counted, onProblem });
  const call = async (headers: Record<string, string>, payload: string = body) =>
    (await app.inject({ method: 'POST', url: '/hooks/git', headers, payload })).statusCode;
  return { call, looks: () => looks, problems };
}

const json = { 'content-type': 'application/json' };
const genuine: [string, Record<string, string>][] = [
  ['GitHub', { ...json, 'x-hub-signature-256': `sha256=${signature}` }],
  ['Gitea', { ...json, 'x-gitea-signature': signature }],
  ['GitLab', { ...json, 'x-gitlab-token': secret }],
];
for (const [host, headers] of genuine) {
  test(`a push as ${host} tells it makes one look`, async () => {
    const at = scene();
    assert.is(await at.call(headers), 202);
    assert.is(at.looks(), 1);
  });
}

const forged: [string, Record<string, string>, string?][] = [
  ['no signature', json],
  ['an empty one', { ...json, 'x-hub-signature-256': '' }],
  ['the signature of another body', { ...json, 'x-hub-signature-256': `sha256=${signature}` }, '{"ref":"other"}'],
  ['another token', { ...json, 'x-gitlab-token': `${secret} ` }],
  ['a token beside a good signature', { ...json, 'x-gitlab-token': 'x', 'x-gitea-signature': signature }],
];
for (const [what, headers, payload] of forged) {
  test(`a call with ${what} is refused and makes no look`, async () => {
    const at = scene();
    assert.is(await at.call(headers, payload), 401);
    assert.is(at.looks(), 0);
  });
}

test('a form and a body without a type are taken too', async () => {
  const at = scene();
  for (const type of ['application/x-www-form-urlencoded', 'text/plain'])
    assert.is(await at.call({ 'content-type': type, 'x-gitea-signature': signature }), 202);
});

test('many calls during one look make one more look, and a look that fails is told', async () => {
  const gate = Promise.withResolvers<void>();
  const at = scene(() => gate.promise);
  const [, [, headers] = ['', {}]] = genuine;
  for (let i = 0; i < 20; i++) await at.call(headers);
  assert.is(at.looks(), 1);
  gate.reject(new Error('git is away'));
  while (at.problems.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.is(at.looks(), 2);
  assert.is(await at.call(headers), 202);
  assert.is(at.looks(), 3);
});

test.run();
