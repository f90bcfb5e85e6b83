import { randomUUID } from 'node:crypto';
import { gravalBootstrap } from '@miner/manifests/charts/graval-bootstrap.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { Members } from '../domain/ports.ts';
import { openMembers } from './members.ts';
import { parseQuantity } from './nodes.ts';
import { startTestCluster, type TestCluster } from './testcluster.ts';

const silent = { info() {}, warn() {} };
const token = 'header.payload.signature-of-the-launch';

interface Scene {
  cluster: TestCluster;
  members: Members;
  name: string;
}

async function withMember(run: (scene: Scene) => Promise<void>): Promise<void> {
  const cluster = await startTestCluster();
  const [name = ''] = cluster.names;
  const members = openMembers({ clock: systemClock, log: silent, renderBootstrap: gravalBootstrap });
  try {
    await members.add(name, cluster.kubeconfig(name));
    await run({ cluster, members, name });
  } finally {
    await members.close();
    await cluster.close();
  }
}

async function failure(call: Promise<unknown>): Promise<MinerError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof MinerError) return error;
    throw error;
  }
  throw new Error('the call should have been rejected');
}

test('a launch Secret is created, replaced and deleted, and deleting it again is fine', () =>
  withMember(async ({ cluster, members, name }) => {
    const id = randomUUID();
    const stored = () =>
      cluster.member(name).store.get('secrets', `launch-${id}`)?.data as { token: string } | undefined;
    await members.writeLaunchSecret(name, id, 'first');
    await members.writeLaunchSecret(name, id, token);
    assert.is(Buffer.from(stored()?.token ?? '', 'base64').toString(), token);
    assert.equal(await members.launchSecrets(name), [id]);
    await members.deleteLaunchSecret(name, id);
    await members.deleteLaunchSecret(name, id);
    assert.equal([stored(), await members.launchSecrets(name)], [undefined, []]);
  }));

test('a Secret that vanishes between create and replace is created again', () =>
  withMember(async ({ cluster, members, name }) => {
    const id = randomUUID();
    await members.writeLaunchSecret(name, id, 'first');
    cluster.intercept = ({ method }) => {
      if (method === 'PUT') cluster.member(name).remove('secrets', `launch-${id}`);
      return false;
    };
    await members.writeLaunchSecret(name, id, token);
    assert.equal(await members.launchSecrets(name), [id]);
  }));

test('other Secrets are no launch Secrets, and listing asks for metadata only', () =>
  withMember(async ({ cluster, members, name }) => {
    cluster.member(name).create('secrets', { metadata: { name: 'regcred' } });
    let accept: string | undefined;
    cluster.intercept = ({ path }, _response, request) => {
      if (path.endsWith('/secrets')) accept = request.headers.accept;
      return false;
    };
    assert.equal(await members.launchSecrets(name), []);
    assert.match(accept ?? '', /^application\/json;as=PartialObjectMetadataList/);
  }));

test('no token is in the error of a Secret that was refused', () =>
  withMember(async ({ cluster, members, name }) => {
    const id = randomUUID();
    cluster.intercept = ({ path, body }, response) => {
      if (!path.endsWith('/secrets')) return false;
      const { data } = JSON.parse(body);
      response.writeHead(422).end(JSON.stringify({ reason: 'Invalid', message: `bad: ${data.token} ${token}` }));
      return true;
    };
    const error = await failure(members.writeLaunchSecret(name, id, token));
    assert.is(error.message, `cluster ${name} refused to write Secret launch-${id}: HTTP 422 Invalid`);
    const everything = JSON.stringify([error.message, error.stack, error.detail, String(error.cause)]);
    for (const secret of [token, Buffer.from(token).toString('base64')]) assert.not.match(everything, secret);
  }));

test('a node is read with its sizes in whole units', () =>
  withMember(async ({ cluster, members, name }) => {
    const { server, store } = cluster.member(name);
    const node = await members.node(name);
    assert.is(node.uid, store.get('nodes', name)?.metadata.uid);
    assert.equal(
      [node.name, node.ready, node.cpus, node.memoryGiB, node.gpus, node.diskGb],
      [name, true, server.cpus, server.memoryGiB, server.gpuCount, Math.floor((server.diskGb * 1e9) / 2 ** 30)],
    );
    assert.is(node.labels['chutes/external-ip'], server.ip);
  }));

test('only labels that differ are sent, and none means no request', () =>
  withMember(async ({ cluster, members, name }) => {
    const patches = () => cluster.requests.filter(({ method }) => method === 'PATCH');
    await members.labelNode(name, { 'gpu-short-ref': '4090', 'nvidia.com/gpu.present': 'true' });
    assert.equal(
      patches().map(({ contentType, body }) => [contentType, JSON.parse(body)]),
      [['application/merge-patch+json', { metadata: { labels: { 'gpu-short-ref': '4090' } } }]],
    );
    assert.is((await members.node(name)).labels['gpu-short-ref'], '4090');
    await members.labelNode(name, { 'gpu-short-ref': '4090' });
    assert.is(patches().length, 1);
  }));

test('a cluster without the node says which nodes it has', () =>
  withMember(async ({ cluster, members, name }) => {
    cluster.intercept = ({ path }, response) => {
      if (path !== `/api/v1/nodes/${name}`) return false;
      response.writeHead(404).end('{"kind":"Status","reason":"NotFound","code":404}');
      return true;
    };
    const error = await failure(members.node(name));
    assert.equal([error.code, error.message], ['E-NODE', `cluster ${name} has no node "${name}"; it has ${name}`]);
  }));

test('a refused call says what was tried and what was answered', () =>
  withMember(async ({ cluster, members, name }) => {
    cluster.intercept = (_seen, response) => {
      response.writeHead(403).end('{"kind":"Status","reason":"Forbidden","message":"nodes is forbidden"}');
      return true;
    };
    const forbidden = await failure(members.node(name));
    assert.is(forbidden.message, `cluster ${name} refused to read node ${name}: HTTP 403 Forbidden nodes is forbidden`);
    cluster.intercept = () => false;
    await members.add(name, cluster.kubeconfig(name, 'wrong'));
    const error = await failure(members.node(name));
    assert.is(error.message, `cluster ${name} refused to read node ${name}: HTTP 401`);
    assert.equal(error.detail, { member: name, status: 401, reason: '' });
  }));

test('a cluster that cannot be reached is told apart from one that refuses', () =>
  withMember(async ({ cluster, members, name }) => {
    cluster.member(name).up = false;
    const error = await failure(members.node(name));
    assert.is(error.code, 'E-CLUSTER');
    assert.match(error.message, `cluster ${name} cannot be reached to read node ${name}: `);
    assert.is(error.detail?.status, 0);
  }));

test('calls to a member share its connections', () =>
  withMember(async ({ cluster, members, name }) => {
    for (let i = 0; i < 10; i += 1) await members.node(name);
    // Each of the watches (pods, Jobs, nodes) holds one for itself.
    assert.ok(cluster.connections <= 4, `${cluster.connections} connections for ${cluster.requests.length} requests`);
  }));

test('an unknown member is refused', () =>
  withMember(async ({ members }) => {
    const error = await failure(members.launchSecrets('gpu-999'));
    assert.equal([error.code, error.message], ['E-CLUSTER', 'there is no member cluster "gpu-999"']);
  }));

test('a kubeconfig must have a context of the member name', () =>
  withMember(async ({ cluster, members, name }) => {
    const error = await failure(members.add('gpu-999', cluster.kubeconfig(name)));
    assert.equal(
      [error.code, error.message],
      ['E-NAME-CONTEXT', `the kubeconfig has no context "gpu-999"; it has ${name}`],
    );
    assert.is((await failure(members.add(name, '{['))).code, 'E-CLUSTER');
    assert.not.ok(members.observe().health.has('gpu-999'));
  }));

test('without leave in the kubeconfig, credentials are not sent over plain HTTP to another machine', () =>
  withMember(async ({ cluster, members, name }) => {
    const remote = cluster
      .kubeconfig(name)
      .replace('127.0.0.1', '192.0.2.1')
      .replace(/^.*insecure-skip-tls-verify.*$/m, '');
    await members.add(name, remote);
    assert.match((await failure(members.node(name))).message, /HTTP protocol is not allowed/);
  }));

const quantities: [quantity: string, value: number | undefined][] = [
  ['8', 8],
  ['7500m', 7.5],
  ['16Gi', 16 * 2 ** 30],
  ['131072000Ki', 131_072_000 * 1024],
  ['2000000000k', 2e12],
  ['1.5Ti', 1.5 * 2 ** 40],
  ['1e3', 1000],
  ['12Qi', undefined],
  ['', undefined],
  ['-1', undefined],
];
for (const [quantity, value] of quantities) {
  test(`quantity "${quantity}" is ${value ?? 'refused'}`, () => assert.is(parseQuantity(quantity), value));
}

test.run();
