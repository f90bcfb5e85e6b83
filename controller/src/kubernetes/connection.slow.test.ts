import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { connect } from './connection.ts';
import { startTestCluster } from './testcluster.ts';

async function withConnection(run: (scene: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
  const scene = await open();
  try {
    await run(scene);
  } finally {
    await scene.connection.close();
    await scene.cluster.close();
  }
}

async function open() {
  const cluster = await startTestCluster();
  const [name = ''] = cluster.names;
  const connection = connect(name, cluster.kubeconfig(name));
  const watch = (timeoutSeconds: number) =>
    connection.watch('/api/v1/namespaces/chutes/pods', { resourceVersion: '0', timeoutSeconds }, () => undefined);
  return { cluster, name, connection, watch };
}

test('a watch that lasts until its time leaves its connection to the next one', () =>
  withConnection(async ({ cluster, connection, watch }) => {
    const rounds = 5;
    for (let round = 0; round < rounds; round += 1) {
      assert.ok(await watch(1).ended);
      await connection.call('list', () => connection.core.listNamespacedPod({ namespace: 'chutes' }));
    }
    // Under load a call may come before the connection of the last one is free, and make a second one.
    assert.ok(cluster.connections < rounds, `${cluster.connections} connections`);
  }));

test('a watch that is cut or stopped before its time did not last', () =>
  withConnection(async ({ cluster, name, watch }) => {
    const cut = watch(10);
    while (cluster.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    cluster.disconnect(name);
    assert.not(await cut.ended);
    const stopped = watch(10);
    stopped.stop();
    assert.not(await stopped.ended);
  }));

test.run();
