import { randomUUID } from 'node:crypto';
import { makeInformer, type V1Pod } from '@kubernetes/client-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type SimulatedCluster, startCluster } from './cluster.ts';
import { type ClaimEndpoint, startClaimEndpoint } from './fixture-claims.ts';
import { clientsOf, clusterOptions, secretFor, servers } from './fixture-cluster.ts';
import { chuteManifest, createRepository, type Repository, until } from './fixtures.ts';

interface Context {
  cluster: SimulatedCluster;
  repository: Repository;
  claims: ClaimEndpoint;
  informers: { stop(): Promise<void> }[];
}

const [first, second] = servers;
const chuteId = 'c0000000-0000-4000-8000-000000000001';

const test = suite<Context>('simulated cluster');
test.before.each(async (context) => {
  context.informers = [];
  context.repository = await createRepository();
  context.claims = await startClaimEndpoint();
  context.cluster = await startCluster(clusterOptions(context.repository.path));
});
test.after.each(async (context) => {
  for (const informer of context.informers) await informer.stop();
  await context.cluster.close();
  await context.claims.close();
});

test('a committed deployment becomes a pod that claims, proves, activates and gets ready, and leaves when the file does', async ({
  informers,
  cluster,
  repository,
  claims,
}) => {
  const { core, batch, config } = clientsOf(cluster, first.name);
  const list = () => core.listNamespacedPod({ namespace: 'chutes' });
  const informer = makeInformer<V1Pod>(config, '/api/v1/namespaces/chutes/pods', list);
  const seen: string[] = [];
  for (const event of ['add', 'update', 'delete'] as const) {
    informer.on(event, (pod) => {
      const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting?.reason;
      const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
      const leaving = pod.metadata?.deletionTimestamp !== undefined;
      const words: [string, unknown][] = [
        ['gone', event === 'delete'],
        ['leaving', leaving],
        [waiting ?? '', waiting],
        ['ready', ready],
        ['up', pod.status?.phase === 'Running'],
      ];
      const word = words.find(([, holds]) => holds)?.[0] ?? 'new';
      if (seen.at(-1) !== word) seen.push(word);
    });
  }
  informer.on('error', () => {});
  informers.push(informer);
  await informer.start();
  const deploymentId = randomUUID();
  const host = first.ip;
  const fields = {
    deploymentId,
    chuteId,
    server: first.name,
    gpuIds: first.gpuIds.slice(0, 1),
    ports: [30001, 30002] as const,
    host,
  };
  const commit = await repository.commit({ [`chutes/${first.name}/${deploymentId}.yaml`]: chuteManifest(fields) });
  await until('the pod waits for its token', () => seen.includes('CreateContainerConfigError'));
  assert.is(cluster.lastSyncedCommit, commit);
  assert.equal(claims.calls, []);

  const configId = randomUUID();
  await core.createNamespacedSecret({
    namespace: 'chutes',
    body: secretFor(deploymentId, await claims.token(configId)),
  });
  await until('the pod is ready', () => seen.includes('ready'));
  assert.equal(claims.calls, [`POST ${configId}`, `PUT ${configId}`, `GET ${configId}`]);
  assert.is(claims.lastPeer, first.ip, "calls leave from the server's own address");
  const alive = await fetch(`http://${first.ip}:30002/_alive`);
  assert.is(await alive.text(), 'ok');
  const times = cluster.stats().deployments[deploymentId];
  const order = [
    times?.syncedAt,
    times?.podCreatedAt,
    times?.pulledAt,
    times?.startedAt,
    times?.claimedAt,
    times?.verifiedAt,
    times?.activatedAt,
  ];
  assert.equal(
    order,
    order.slice().sort((a, b) => Number(a) - Number(b)),
  );
  assert.ok(Number(times?.verifiedAt) - Number(times?.claimedAt) >= 65_000, 'a proof on a 4090 takes 65 s');
  const [job] = (
    await batch.listNamespacedJob({ namespace: 'chutes', labelSelector: `chutes/deployment-id=${deploymentId}` })
  ).items;
  assert.is(job?.status?.active, 1);
  assert.equal(cluster.stats().pods, { pending: 0, running: 0, ready: 1, succeeded: 0, failed: 0, terminating: 0 });

  await repository.commit({ 'chutes/README': 'empty' });
  await until('the pod is gone', () => seen.includes('gone'));
  assert.equal(seen, ['new', 'ContainerCreating', 'CreateContainerConfigError', 'up', 'ready', 'leaving', 'gone']);
  await until(
    'its Job is gone',
    async () => (await batch.listNamespacedJob({ namespace: 'chutes' })).items.length === 0,
  );
  assert.equal((await core.listNamespacedService({ namespace: 'chutes' })).items, []);
  assert.equal(cluster.violations(), []);
});

test('a refused claim and a refused activation end the container and fail the Job', async ({
  cluster,
  repository,
  claims,
}) => {
  const { core, batch } = clientsOf(cluster, first.name);
  const files: Record<string, string> = {};
  const ids = [randomUUID(), randomUUID()];
  claims.refuse.push({ method: 'POST', status: 403 }, { method: 'GET', status: 423 });
  for (const [i, deploymentId] of ids.entries()) {
    const gpuIds = first.gpuIds.slice(i, i + 1);
    files[`chutes/${first.name}/${deploymentId}.yaml`] = chuteManifest({
      deploymentId,
      chuteId,
      server: first.name,
      gpuIds,
      ports: [30010 + 2 * i, 30011 + 2 * i],
      host: first.ip,
    });
    await core.createNamespacedSecret({
      namespace: 'chutes',
      body: secretFor(deploymentId, await claims.token(randomUUID())),
    });
  }
  await repository.commit(files);
  const failed = async () =>
    (await batch.listNamespacedJob({ namespace: 'chutes' })).items.filter(({ status }) => status?.failed === 1);
  await until('both Jobs have failed', async () => (await failed()).length === 2);
  const pods = (await core.listNamespacedPod({ namespace: 'chutes' })).items;
  assert.equal(
    pods.map(({ status }) => status?.phase),
    ['Failed', 'Failed'],
  );
  const words = pods.map(({ status }) => status?.containerStatuses?.[0]?.state?.terminated?.message).sort();
  assert.equal(words, ['activation refused: HTTP 423', 'claim refused: HTTP 403']);
});

test('a member that is down is skipped, the others go on, and it catches up when it is back', async ({
  cluster,
  repository,
  claims,
}) => {
  const files: Record<string, string> = {};
  const ids = { [first.name]: randomUUID(), [second.name]: randomUUID() };
  for (const server of [first, second]) {
    const deploymentId = ids[server.name] ?? '';
    files[`chutes/${server.name}/${deploymentId}.yaml`] = chuteManifest({
      deploymentId,
      chuteId,
      server: server.name,
      gpuIds: server.gpuIds.slice(0, 1),
      ports: [30001, 30002],
      host: server.ip,
    });
  }
  await cluster.killNode(first.name);
  const { core } = clientsOf(cluster, first.name);
  assert.is(
    await core.listNode().then(
      () => 'answered',
      () => 'cut',
    ),
    'cut',
  );
  assert.is(
    await fetch(`${cluster.agentUrl(first.name)}/ping`).then(
      () => 'answered',
      () => 'refused',
    ),
    'refused',
  );
  await repository.commit(files);
  await until(
    'the living member has its pod',
    () => cluster.stats().deployments[ids[second.name] ?? '']?.podCreatedAt !== undefined,
  );
  assert.is(cluster.stats().deployments[ids[first.name] ?? ''], undefined);
  const sync = () => Object.fromEntries(cluster.applications().map((app) => [app.server, app.sync]));
  assert.is(sync()[first.name], 'Unknown');
  assert.is(sync()[second.name], 'Synced');
  await cluster.reviveNode(first.name);
  await until(
    'the other follows',
    () => cluster.stats().deployments[ids[first.name] ?? '']?.podCreatedAt !== undefined,
  );
  assert.is(sync()[first.name], 'Synced');

  const { core: alive } = clientsOf(cluster, second.name);
  const token = await claims.token(randomUUID());
  await alive.createNamespacedSecret({ namespace: 'chutes', body: secretFor(ids[second.name] ?? '', token) });
  await until('it serves', () => cluster.stats().pods.ready === 1);
  await cluster.killNode(second.name);
  await cluster.reviveNode(second.name);
  const [pod] = (await alive.listNamespacedPod({ namespace: 'chutes' })).items;
  assert.is(pod?.status?.phase, 'Failed', 'what ran when the power went does not come back');
});

test.run();
