import { randomUUID } from 'node:crypto';
import { BatchV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { scaledClock } from '@miner/controller/domain/clock.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { atLeast } from '@miner/controller/domain/version.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalogue } from '../catalogue.ts';
import { listen, minerKey, send, validatorKey } from '../validator/testing.ts';
import { startValidator } from '../validator/validator.ts';
import { loadModelSizes, makeServers, startCluster } from './cluster.ts';
import { devicesOf } from './devices.ts';
import { chuteManifest, createBootstrap, createRepository, loopbackBase, until } from './fixtures.ts';

test('a server is verified by the simulated validator, and a chute launched on it is activated there', async () => {
  const clock = scaledClock(60, Date.now());
  const catalogue = loadCatalogue();
  const random = seededRandom(1);
  const registeredHotkeys = [minerKey.ss58];
  const hotkey = validatorKey;
  const validator = await startValidator({
    hotkey,
    clock,
    catalogue,
    registeredHotkeys,
    allowPrivateHosts: true,
    random,
  });
  const [server] = makeServers(1, 9, loopbackBase()) as [ReturnType<typeof makeServers>[number]];
  const repository = await createRepository();
  const sizes = loadModelSizes();
  const cluster = await startCluster({
    servers: [{ ...server, netMbps: 100_000, diskReadGbps: 50 }],
    repository: repository.path,
    clock,
    minerHotkey: minerKey.ss58,
    validator: { hotkey: hotkey.ss58, api: validator.url },
    modelSizes: (chuteId) => ({ imageGb: 5, modelGb: 5, modelKey: 'm', ...sizes(chuteId), warmupSeconds: 5 }),
    random,
  });
  const events = await listen(validator);
  try {
    const kubeconfig = cluster.kubeconfig(server.name);
    const verification_port = await createBootstrap(kubeconfig, server);
    const ping = () => fetch(`http://${server.ip}:${verification_port}/ping`);
    await until('the bootstrap answers', () =>
      ping().then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const nodes = devicesOf(server.gpuShortRef, server.gpuIds).map((device, device_index) => ({
      ...device,
      device_index,
      gpu_identifier: server.gpuShortRef,
      verification_host: server.ip,
      verification_port,
    }));
    const advertised = await send(validator.url, 'POST', '/nodes/', { body: { server_id: randomUUID(), nodes } });
    assert.is(advertised.status, 202, advertised.text);
    const path = `/nodes/verification_status?task_id=${encodeURIComponent(advertised.json.task_id)}`;
    const status = async () => (await send(validator.url, 'GET', path, { tail: 'graval' })).json;
    await until('the verification is over', async () => (await status()).status !== 'pending', 20_000);
    assert.is((await status()).status, 'verified', JSON.stringify(await status()));
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const batch = config.makeApiClient(BatchV1Api);
    const job = { namespace: 'chutes', name: `graval-${server.name}` };
    await batch.deleteNamespacedJob({ ...job, propagationPolicy: 'Foreground' });
    await until('the bootstrap is gone', () =>
      batch.readNamespacedJob(job).then(
        () => false,
        () => true,
      ),
    );

    const item = [...catalogue.chutes.values()]
      .map((chute) => chute.item)
      .find(({ tee, disabled, public: open, cords, supported_gpus, node_selector, chutes_version }) => {
        const usual = open && !tee && !disabled && cords.length > 0 && atLeast(chutes_version, '0.3.0');
        return usual && node_selector.gpu_count === 1 && supported_gpus.includes(server.gpuShortRef);
      });
    assert.ok(item);
    const chuteId = item.chute_id;
    validator.setOthers(chuteId, 0);
    validator.setTarget(chuteId, 1);
    const query = `/instances/launch_config?chute_id=${chuteId}&server_id=${server.name}`;
    const granted = await send(validator.url, 'GET', query, { tail: 'launch' });
    assert.is(granted.status, 200, granted.text);
    const deploymentId = randomUUID();
    const gpuIds = server.gpuIds.slice(0, 1);
    const text = chuteManifest({
      deploymentId,
      chuteId,
      server: server.name,
      gpuIds,
      ports: [30001, 30002],
      host: server.ip,
    });
    const secret = {
      metadata: { name: `launch-${deploymentId}` },
      stringData: { token: granted.json.token as string },
    };
    await config.makeApiClient(CoreV1Api).createNamespacedSecret({ namespace: 'chutes', body: secret });
    await repository.commit({ [`chutes/${server.name}/${deploymentId}.yaml`]: text });
    await until('the chute serves', () => cluster.stats().pods.ready === 1, 30_000);
    const reasons = events.messages.map(({ reason }) => reason).filter((reason) => reason.startsWith('instance_'));
    assert.equal(reasons, ['instance_created', 'instance_verified', 'instance_activated']);
    assert.equal(cluster.violations(), []);
    assert.equal(validator.stats().violations, []);
  } finally {
    events.socket.close();
    await cluster.close();
    await validator.close();
  }
});

test.run();
