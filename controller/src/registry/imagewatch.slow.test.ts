import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../domain/clock.ts';
import { systemClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import { startTestCluster, type TestCluster, until } from '../kubernetes/testcluster.ts';
import { nodeCluster, watchImages } from './imagewatch.ts';
import { createPlacedPods } from './placed.ts';

const limitMs = 30_000;
const soon = (what: string, holds: () => boolean) => until(what, holds, limitMs);

const validator = '5fhnew46xgxgs5muiveu4sbtygbzmstuspzc92uhjjm694ty';

interface Scene {
  cluster: TestCluster;
  node: string;
  dir: string;
  kubeconfig: string;
  stops: (() => Promise<void>)[];
}

const test = suite<Scene>('image watch');
test.before.each(async (scene) => {
  const cluster = await startTestCluster();
  const [node = ''] = cluster.names;
  const dir = mkdtempSync(join(tmpdir(), 'images-'));
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(kubeconfig, cluster.kubeconfig(node));
  Object.assign(scene, { cluster, node, dir, kubeconfig, stops: [] });
});
test.after.each(async ({ cluster, dir, stops }) => {
  for (const stop of stops) await stop();
  await cluster.close();
  rmSync(dir, { recursive: true });
});

function pod(name: string, nodeName: string, repository: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'chutes/chute': 'true' } },
    spec: {
      nodeName,
      containers: [{ name: 'chute', image: `${validator}.localregistry.chutes.ai:30500/${repository}:1` }],
    },
  };
}

/** Sleeps of the watch last 10 ms at most, so that it lists again soon. */
const hurried: Clock = { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 10), signal) };

function follow({ kubeconfig, node, stops }: Scene, clock: Clock = systemClock) {
  const placed = createPlacedPods();
  const failures: string[] = [];
  const options = { node, placed, clock, random: () => 0, onFailure: (why: string) => failures.push(why) };
  const watch = watchImages({ ...options, config: nodeCluster(kubeconfig) });
  stops.push(() => watch.stop());
  return { placed, failures, watch };
}

test('images of chutes on the own node are known, from the list and from the watch', async (scene) => {
  const { cluster, node } = scene;
  const member = cluster.member(node);
  member.create('pods', pod('before', node, 'alice/before'));
  member.create('pods', pod('elsewhere', 'another-node', 'alice/elsewhere'));
  const { placed, watch } = follow(scene);
  await soon('the list', () => placed.allows(validator, 'alice/before'));
  await soon('the watch', () => cluster.requests.some(({ query }) => query.get('watch') === 'true'));
  assert.ok(watch.listedAt());
  member.create('pods', pod('after', node, 'alice/after'));
  await soon('the event', () => placed.allows(validator, 'alice/after'));
  member.remove('pods', 'before', { gracePeriodSeconds: 0 });
  await soon('the removal', () => !placed.allows(validator, 'alice/before'));
  assert.not(placed.allows(validator, 'alice/elsewhere'));
});

test('a watch that is cut is replaced', async (scene) => {
  const { cluster, node } = scene;
  const { placed } = follow(scene, hurried);
  await soon('the watch', () => cluster.requests.some(({ query }) => query.get('watch') === 'true'));
  cluster.disconnect(node);
  cluster.member(node).create('pods', pod('after', node, 'alice/after'));
  await soon('the news', () => placed.allows(validator, 'alice/after'));
});

test('while the API does not answer, the last good list stays', async (scene) => {
  const { cluster, node } = scene;
  cluster.member(node).create('pods', pod('before', node, 'alice/before'));
  const { placed, failures } = follow(scene, hurried);
  await soon('the list', () => placed.allows(validator, 'alice/before'));
  cluster.intercept = (_seen, response) => {
    response.destroy();
    return true;
  };
  cluster.disconnect(node);
  await soon('three failures', () => failures.length >= 3);
  assert.ok(placed.allows(validator, 'alice/before'));
  cluster.intercept = () => false;
  cluster.member(node).remove('pods', 'before', { gracePeriodSeconds: 0 });
  await soon('the removal', () => !placed.allows(validator, 'alice/before'));
});

test('an answer that is no list leaves what is known', async (scene) => {
  const { cluster, node } = scene;
  cluster.member(node).create('pods', pod('before', node, 'alice/before'));
  const { placed, failures } = follow(scene, hurried);
  await soon('the list', () => placed.allows(validator, 'alice/before'));
  cluster.intercept = (_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    return true;
  };
  cluster.disconnect(node);
  await soon('three failures', () => failures.length >= 3);
  assert.ok(placed.allows(validator, 'alice/before'));
});

test('a kubeconfig that cannot be used is told by the option, without its content', ({ kubeconfig, dir }) => {
  writeFileSync(kubeconfig, 'users: [secret-token');
  for (const file of [kubeconfig, join(dir, 'missing'), undefined]) {
    try {
      nodeCluster(file);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MinerError);
      assert.match((error as MinerError).message, /--kubeconfig/);
      assert.not((error as MinerError).message.includes('secret-token'));
    }
  }
});

test.run();
