import { CoreV1Api, KubeConfig, makeInformer, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hotkeyFromSeed } from '../sr25519.ts';
import { type SimulatedCluster, startCluster } from './cluster.ts';
import { clientsOf, clusterOptions, servers } from './fixture-cluster.ts';
import { createRepository, miner, until, validator } from './fixtures.ts';

interface Context {
  cluster: SimulatedCluster;
  informers: { stop(): Promise<void> }[];
}

const [first, second] = servers;
const test = suite<Context>('clients of the simulated cluster');
test.before.each(async (context) => {
  context.informers = [];
  const { path } = await createRepository();
  context.cluster = await startCluster(clusterOptions(path));
});
test.after.each(async (context) => {
  for (const informer of context.informers) await informer.stop();
  await context.cluster.close();
});

test('the agent gives its kubeconfig to the miner alone, and the API wants the token in it', async ({ cluster }) => {
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
