import { randomUUID } from 'node:crypto';
import {
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1Pod,
} from '@kubernetes/client-node';
import { scaledClock } from '@miner/controller/domain/clock.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClusterOptions, makeServers, type SimulatedCluster, startCluster } from './cluster.ts';
import {
  type ClaimEndpoint,
  chuteManifest,
  createRepository,
  loopbackBase,
  miner,
  type Repository,
  startClaimEndpoint,
  until,
  validator,
} from './fixtures.ts';

interface Context {
  cluster: SimulatedCluster;
  repository: Repository;
  claims: ClaimEndpoint;
  informers: { stop(): Promise<void> }[];
}

const servers = makeServers(3, 7, loopbackBase());
const [first, second] = servers as [(typeof servers)[number], (typeof servers)[number]];
const chuteId = 'c0000000-0000-4000-8000-000000000001';

function optionsFor(repository: Repository, claims: ClaimEndpoint, more: Partial<ClusterOptions> = {}): ClusterOptions {
  return {
    servers,
    repository: repository.path,
    clock: scaledClock(400, Date.now()),
    minerHotkey: miner.hotkey,
    validator: { hotkey: validator.hotkey, api: claims.url },
    modelSizes: () => ({ imageGb: 2, modelGb: 5, modelKey: 'model', warmupSeconds: 10 }),
    random: Math.random,
    ...more,
  };
}

function clientsOf(cluster: SimulatedCluster, name: string) {
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig(name));
  return { config, core: config.makeApiClient(CoreV1Api), batch: config.makeApiClient(BatchV1Api) };
}

function secretFor(deploymentId: string, token: string) {
  return { metadata: { name: `launch-${deploymentId}`, namespace: 'chutes' }, stringData: { token } };
}

const test = suite<Context>('simulated cluster');
test.before.each(async (context) => {
  context.informers = [];
  context.repository = await createRepository();
  context.claims = await startClaimEndpoint();
  context.cluster = await startCluster(optionsFor(context.repository, context.claims));
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

test('the agent gives its kubeconfig to the miner alone, and the API wants the token in it', async ({ cluster }) => {
  const { hotkeyFromSeed } = await import('../sr25519.ts');
  const url = cluster.agentUrl(first.name);
  assert.is(await (await fetch(`${url}/ping`)).text(), 'pong');
  const nonce = String(Math.floor(Date.now() / 1000));
  const ask = (seed: string, signer: string, purpose: string) => {
    const signature = hotkeyFromSeed(seed).sign(`${miner.hotkey}:${signer}:${nonce}:${purpose}`);
    const headers = {
      'x-chutes-miner': miner.hotkey,
      'x-chutes-validator': signer,
      'x-chutes-nonce': nonce,
      'x-chutes-signature': signature,
    };
    return fetch(`${url}/config/kubeconfig`, { headers });
  };
  assert.is((await ask(miner.seed, miner.hotkey, 'management')).status, 401);
  assert.is((await ask(validator.seed, validator.hotkey, 'registration')).status, 401);
  const granted = await ask(miner.seed, miner.hotkey, 'registration');
  const { kubeconfig } = (await granted.json()) as { kubeconfig: string };
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  assert.is(config.getCurrentContext(), first.name);
  const node = await config.makeApiClient(CoreV1Api).readNode({ name: first.name });
  assert.is(node.status?.capacity?.['nvidia.com/gpu'], '8');
  assert.is(node.metadata?.labels?.['chutes/external-ip'], first.ip);
  const stranger = await fetch(`http://127.0.0.1:${cluster.apiPort}/clusters/${first.name}/api/v1/nodes`);
  assert.is(stranger.status, 401);
});

test('a node is labelled with a strategic merge patch, and only what was sent changes', async ({ cluster }) => {
  const { core } = clientsOf(cluster, second.name);
  const body = { metadata: { labels: { 'gpu-short-ref': second.gpuShortRef } } };
  const options = setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch);
  const node = await core.patchNode({ name: second.name, body }, options);
  assert.is(node.metadata?.labels?.['gpu-short-ref'], 'h100_sxm');
  assert.is(node.metadata?.labels?.['nvidia.com/gpu.count'], '8');
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

test('an informer survives a lost watch and a revision that is too old', async ({ informers, cluster }) => {
  const { core, config } = clientsOf(cluster, first.name);
  const list = () => core.listNamespacedConfigMap({ namespace: 'chutes' });
  const informer = makeInformer(config, '/api/v1/namespaces/chutes/configmaps', list);
  const names = new Set<string>();
  informer.on('add', ({ metadata }) => names.add(metadata?.name ?? ''));
  let stopped = false;
  informer.on('error', () => setTimeout(() => stopped || informer.start(), 50));
  informers.push({
    async stop() {
      stopped = true;
      await informer.stop();
    },
  });
  await informer.start();
  const create = (name: string) =>
    core.createNamespacedConfigMap({ namespace: 'chutes', body: { metadata: { name }, data: {} } });
  await create('one');
  await until('the first is seen', () => names.has('one'));
  await cluster.killNode(first.name);
  cluster.compact(first.name);
  await cluster.reviveNode(first.name);
  await create('two');
  await until('the second is seen', () => names.has('two'));
});

test('what the API refuses is a Status object with the right code', async ({ cluster }) => {
  const { core } = clientsOf(cluster, first.name);
  const codeOf = (call: Promise<unknown>) =>
    call.then(
      () => 200,
      (error: { code?: number }) => error.code,
    );
  const body = {
    metadata: { name: 'x' },
    spec: { type: 'NodePort', selector: {}, ports: [{ port: 1, nodePort: 30005 }] },
  };
  const service = (name: string, nodePort: number) =>
    core.createNamespacedService({
      namespace: 'chutes',
      body: { metadata: { name }, spec: { ...body.spec, ports: [{ port: 1, nodePort }] } },
    });
  assert.is(await codeOf(core.readNamespacedPod({ namespace: 'chutes', name: 'none' })), 404);
  await core.createNamespacedService({ namespace: 'chutes', body });
  assert.is(await codeOf(core.createNamespacedService({ namespace: 'chutes', body })), 409);
  assert.is(await codeOf(service('y', 30005)), 422);
  assert.is(await codeOf(service('z', 29999)), 422);
  const config = { metadata: { name: 'same' }, data: {} };
  await core.createNamespacedConfigMap({ namespace: 'chutes', body: config });
  assert.is(await codeOf(core.createNamespacedConfigMap({ namespace: 'chutes', body: config })), 409);
  const stale = { metadata: { name: 'same', resourceVersion: '1' }, data: {} };
  assert.is(await codeOf(core.replaceNamespacedConfigMap({ namespace: 'chutes', name: 'same', body: stale })), 409);
  assert.equal(
    cluster.violations().map(({ code }) => code),
    ['node-port-shared'],
  );
});

test.run();
