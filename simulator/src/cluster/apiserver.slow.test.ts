import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startApiServer } from './apiserver.ts';
import { manualClock } from './fixtures.ts';
import { createMember, type Member } from './member.ts';
import { makeServers } from './servers.ts';

const [server] = makeServers(1, 1) as [ReturnType<typeof makeServers>[number]];

interface Context {
  member: Member;
  ask: (method: string, path: string, body?: unknown, type?: string) => Promise<{ code: number; body: Answer }>;
  watch: (query: string) => Promise<AsyncGenerator<Answer>>;
  close: () => Promise<void>;
}
interface Answer {
  kind?: string;
  type?: string;
  reason?: string;
  code?: number;
  items?: unknown[];
  metadata?: { name?: string; resourceVersion?: string; labels?: Record<string, string> };
  object?: { kind?: string; code?: number; metadata?: { name?: string } };
}

async function* linesOf(response: Response): AsyncGenerator<Answer> {
  let rest = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line);
  }
}

const test = suite<Context>('Kubernetes API');
test.before.each(async (context) => {
  const member = createMember(server, { clock: manualClock(), random: Math.random, onPortConflict: () => {} });
  const api = await startApiServer({
    members: new Map([[server.name, member]]),
    port: 0,
    tokenOf: () => 'secret',
    logOf: (_, name) => `log of ${name}\n`,
  });
  const base = `http://127.0.0.1:${api.port}/clusters/${server.name}`;
  const authorization = 'Bearer secret';
  const abort = new AbortController();
  context.member = member;
  context.ask = async (method, path, body, type = 'application/json') => {
    const init = { method, headers: { authorization, 'content-type': type } };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(base + path, body === undefined ? init : { ...init, body: text });
    const answer = await response.text();
    return { code: response.status, body: answer.startsWith('{') ? JSON.parse(answer) : answer };
  };
  context.watch = async (query) => {
    const path = `${base}/api/v1/namespaces/chutes/configmaps?watch=true&${query}`;
    return linesOf(await fetch(path, { headers: { authorization }, signal: abort.signal }));
  };
  context.close = async () => {
    abort.abort();
    await api.close();
  };
});
test.after.each((context) => context.close());

const configs = '/api/v1/namespaces/chutes/configmaps';
const merge = 'application/merge-patch+json';
const config = (name: string, labels: Record<string, string> = {}) => ({ metadata: { name, labels }, data: {} });

test('refusals are Status objects with the codes of Kubernetes', async ({ ask, member }) => {
  member.create('configmaps', config('a'));
  const stale = { preconditions: { resourceVersion: '1' } };
  const cases: [code: number, reason: string, method: string, path: string, body?: unknown, type?: string][] = [
    [400, 'BadRequest', 'POST', configs, 'no json'],
    [400, 'BadRequest', 'POST', configs, { kind: 'Secret', metadata: { name: 'x' } }],
    [400, 'BadRequest', 'GET', `${configs}?labelSelector=a%20in%20(b)`],
    [404, 'NotFound', 'GET', `${configs}/none`],
    [404, 'NotFound', 'DELETE', `${configs}/none`],
    [404, 'NotFound', 'PATCH', `${configs}/none`, {}, merge],
    [404, 'NotFound', 'GET', '/api/v1/namespaces/default/configmaps'],
    [404, 'NotFound', 'GET', '/apis/apps/v1/namespaces/chutes/deployments'],
    [404, 'NotFound', 'GET', '/api/v1/namespaces/chutes/nodes'],
    [405, 'MethodNotAllowed', 'DELETE', `/api/v1/nodes/${server.name}`],
    [405, 'MethodNotAllowed', 'PUT', configs, {}],
    [409, 'AlreadyExists', 'POST', configs, config('a')],
    [409, 'Conflict', 'DELETE', `${configs}/a`, stale],
    [415, 'UnsupportedMediaType', 'PATCH', `${configs}/a`, {}, 'application/apply-patch+yaml'],
    [422, 'Invalid', 'POST', configs, config('Not A Name')],
    [422, 'Invalid', 'POST', '/apis/batch/v1/namespaces/chutes/jobs', { metadata: { name: 'j' }, spec: {} }],
  ];
  for (const [code, reason, method, path, body, type] of cases) {
    const answer = await ask(method, path, body, type);
    const got = [answer.code, answer.body.kind, answer.body.reason, answer.body.code];
    assert.equal(got, [code, 'Status', reason, code], `${method} ${path} ${JSON.stringify(body)}`);
  }
});

test('objects are created, listed by label, changed and deleted', async ({ ask }) => {
  const created = await ask('POST', configs, config('a', { x: '1' }));
  assert.is(created.code, 201);
  await ask('POST', configs, { metadata: { generateName: 'b-' }, data: {} });
  const list = await ask('GET', `${configs}?labelSelector=x%3D1`);
  assert.is(list.body.kind, 'ConfigMapList');
  assert.is(list.body.items?.length, 1);
  const patched = await ask('PATCH', `${configs}/a`, { metadata: { labels: { x: null, y: '2' } } }, merge);
  assert.equal(patched.body.metadata?.labels, { y: '2' });
  assert.is((await ask('DELETE', `${configs}/a`)).body.kind, 'Status');
  assert.is((await ask('GET', '/api/v1/configmaps')).body.items?.length, 1);
  await ask('DELETE', configs);
  assert.is((await ask('GET', configs)).body.items?.length, 0);
});

test('a Secret shows its values in base64 only', async ({ ask }) => {
  const path = '/api/v1/namespaces/chutes/secrets';
  const { body } = await ask('POST', path, { metadata: { name: 's' }, stringData: { token: 'abc' } });
  assert.equal(body, { ...body, data: { token: 'YWJj' }, type: 'Opaque' });
  assert.not('stringData' in body);
});

test('a watch resumes after its revision and follows what enters and leaves the selector', async ({
  member,
  ask,
  watch,
}) => {
  member.create('configmaps', config('before', { x: '1' }));
  const { body } = await ask('GET', configs);
  const stream = await watch(`resourceVersion=${body.metadata?.resourceVersion}&labelSelector=x%3D1`);
  member.create('configmaps', config('other'));
  member.create('configmaps', config('a', { x: '1' }));
  member.patch('configmaps', 'other', (object) => ({
    ...object,
    metadata: { ...object.metadata, labels: { x: '1' } },
  }));
  member.patch('configmaps', 'a', (object) => ({ ...object, data: { k: 'v' } }));
  member.patch('configmaps', 'a', (object) => ({ ...object, metadata: { ...object.metadata, labels: {} } }));
  member.remove('configmaps', 'before');
  const seen: string[] = [];
  for await (const { type, object } of stream) {
    seen.push(`${type} ${object?.metadata?.name}`);
    if (seen.length === 5) break;
  }
  assert.equal(seen, ['ADDED a', 'ADDED other', 'MODIFIED a', 'DELETED a', 'DELETED before']);
});

test('a watch without a revision begins with what exists', async ({ member, watch }) => {
  member.create('configmaps', config('a'));
  const { value } = await (await watch('')).next();
  assert.equal([value?.type, value?.object?.metadata?.name], ['ADDED', 'a']);
});

test('a watch from a forgotten revision gets one error line with code 410 and ends', async ({ member, watch }) => {
  member.create('configmaps', config('a'));
  member.store.compact();
  const lines: Answer[] = [];
  for await (const line of await watch('resourceVersion=2')) lines.push(line);
  assert.is(lines.length, 1);
  assert.equal([lines[0]?.type, lines[0]?.object?.code], ['ERROR', 410]);
});

test('a watch ends after the time the client asked for', async ({ watch }) => {
  for await (const line of await watch('timeoutSeconds=1')) assert.unreachable(JSON.stringify(line));
});

test('health and a pod log are text', async ({ ask, member }) => {
  assert.is((await ask('GET', '/healthz')).body, 'ok');
  assert.is((await ask('GET', '/api/v1/namespaces/chutes/pods/none/log')).code, 404);
  member.create('pods', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
  assert.is((await ask('GET', '/api/v1/namespaces/chutes/pods/p/log')).body, 'log of p\n');
});

test.run();
