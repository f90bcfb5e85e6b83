import { randomUUID } from 'node:crypto';
import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClusterOptions, type SimulatedCluster, startCluster } from './cluster.ts';
import { startClaimEndpoint } from './fixture-claims.ts';
import { clientsOf, clusterOptions, secretFor, servers } from './fixture-cluster.ts';
import { chuteManifest, createRepository, until } from './fixtures.ts';

const [server] = servers;
const optionsFor = (repository: string, more: Partial<ClusterOptions>) =>
  clusterOptions(repository, { servers: [server], ...more });

const coreOf = (cluster: SimulatedCluster) => clientsOf(cluster, server.name).core;

function manifestOf(deploymentId: string, port: number): Record<string, string> {
  const ports = [port, port + 1] as const;
  const gpuIds = server.gpuIds.slice(0, 1);
  const text = chuteManifest({ deploymentId, chuteId: 'c', server: server.name, gpuIds, ports, host: server.ip });
  return { [`chutes/${server.name}/${deploymentId}.yaml`]: text };
}

test('a cluster that was stopped in the middle of a launch goes on with it, at the same address, with the same token', async () => {
  const repository = await createRepository();
  const claims = await startClaimEndpoint();
  const stateFile = join(mkdtempSync(join(tmpdir(), 'cluster-')), 'state.json');
  const options = optionsFor(repository.path, { stateFile });
  const deploymentId = randomUUID();
  await repository.commit(manifestOf(deploymentId, 30001));
  const before = await startCluster(options);
  const token = await claims.token('config-1');
  await coreOf(before).createNamespacedSecret({ namespace: 'chutes', body: secretFor(deploymentId, token) });
  await until('it has claimed', () => before.stats().deployments[deploymentId]?.claimedAt !== undefined);
  const kubeconfig = before.kubeconfig(server.name);
  const times = before.stats().deployments[deploymentId];
  await before.close();
  assert.is(statSync(stateFile).mode & 0o077, 0, 'the state holds a launch token');

  const after = await startCluster(options);
  try {
    assert.is(after.kubeconfig(server.name), kubeconfig);
    await coreOf(after).deleteNamespacedSecret({ namespace: 'chutes', name: `launch-${deploymentId}` });
    await until('it serves', () => after.stats().pods.ready === 1);
    assert.equal(claims.calls, ['POST config-1', 'PUT config-1', 'GET config-1'], 'nothing was asked twice');
    assert.is(after.stats().deployments[deploymentId]?.claimedAt, times?.claimedAt);
    assert.equal(after.violations(), []);
  } finally {
    await after.close();
    await claims.close();
  }
});

test('what somebody deletes from under Argo CD comes back after a while', async () => {
  const repository = await createRepository();
  const cluster = await startCluster(optionsFor(repository.path, {}));
  try {
    const deploymentId = randomUUID();
    await repository.commit(manifestOf(deploymentId, 30001));
    const core = coreOf(cluster);
    const name = `chute-service-${deploymentId}`;
    const uid = () =>
      core.readNamespacedService({ namespace: 'chutes', name }).then(
        ({ metadata }) => metadata?.uid,
        () => undefined,
      );
    await until('the Service is there', async () => (await uid()) !== undefined);
    const first = await uid();
    await core.deleteNamespacedService({ namespace: 'chutes', name });
    // At this speed it may be back before anybody looks; another uid proves that it was gone.
    await until('another one is there', async () => ![undefined, first].includes(await uid()));
    const [app] = cluster.applications();
    assert.equal([app?.name, app?.sync, app?.failures], [`chutes-${server.name}`, 'Synced', []]);
  } finally {
    await cluster.close();
  }
});

test('a live branch that appears late is noticed', async () => {
  const repository = await createRepository();
  const cluster = await startCluster(optionsFor(repository.path, {}));
  try {
    assert.is(cluster.lastSyncedCommit, undefined);
    const commit = await repository.commit(manifestOf(randomUUID(), 30001));
    await until('it is synced', () => cluster.lastSyncedCommit === commit, 2000);
  } finally {
    await cluster.close();
  }
});

test('an address that is taken fails the start with its reason, and leaves nothing open', async () => {
  const repository = await createRepository();
  const first = await startCluster(optionsFor(repository.path, {}));
  const error = await startCluster(optionsFor(repository.path, {})).catch((reason: unknown) => reason);
  assert.match(String(error), 'EADDRINUSE');
  await first.close();
  const again = await startCluster(optionsFor(repository.path, {}));
  await again.close();
});

test.run();
