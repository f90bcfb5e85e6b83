import { randomUUID } from 'node:crypto';
import { gravalBootstrap } from '@miner/manifests/charts/graval-bootstrap.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Clock, scaledClock, systemClock } from '../domain/clock.ts';
import type { Members } from '../domain/ports.ts';
import { openMembers } from './members.ts';
import type { BadObject } from './podwatch.ts';
import { chutePod, startTestCluster, type TestCluster, until } from './testcluster.ts';

const fast = scaledClock(100, Date.now());
const gpuId = '0123456789abcdef0123456789abcdef';
const silent = { info() {}, warn() {} };

interface Scene {
  cluster: TestCluster;
  members: Members;
  name: string;
  bad: BadObject[];
  health(): string;
  pods(): string[];
  lists(): number;
  addPod(name: string): string;
}

/** One member with one pod, seen and healthy. */
async function withMember(run: (scene: Scene) => Promise<void>, clock: Clock = fast): Promise<void> {
  const cluster = await startTestCluster();
  const [name = ''] = cluster.names;
  const bad: BadObject[] = [];
  const members = openMembers({
    clock,
    log: silent,
    renderBootstrap: gravalBootstrap,
    onBadObject: (object) => bad.push(object),
  });
  const scene: Scene = {
    cluster,
    members,
    name,
    bad,
    health: () => members.observe().health.get(name)?.state ?? 'absent',
    pods: () =>
      members
        .observe()
        .pods.map(({ podName }) => podName)
        .sort(),
    lists: () =>
      cluster.requests.filter(
        ({ method, path, query }) => method === 'GET' && path.endsWith('/pods') && !query.get('watch'),
      ).length,
    addPod(podName) {
      const deploymentId = randomUUID();
      cluster.member(name).create('pods', chutePod(podName, deploymentId, [gpuId], 30_123));
      return deploymentId;
    },
  };
  try {
    scene.addPod('first');
    await members.add(name, cluster.kubeconfig(name));
    assert.is(scene.health(), 'unknown');
    await until('the first list', () => scene.health() === 'healthy');
    await run(scene);
  } finally {
    await members.close();
    await cluster.close();
  }
}

test('a pod is observed with its deployment, GPUs and node ports', () =>
  withMember(async ({ members, name, addPod, pods }) => {
    const deploymentId = addPod('second');
    await until('the second pod', () => pods().length === 2);
    const { pods: seen, health } = members.observe();
    const pod = seen.find(({ podName }) => podName === 'second');
    assert.equal(
      { ...pod, createdAt: 0 },
      {
        server: name,
        podName: 'second',
        deploymentId,
        configId: 'config-of-second',
        gpuIds: [gpuId],
        nodePorts: [30_123],
        phase: 'Pending',
        ready: false,
        terminating: false,
        detail: undefined,
        createdAt: 0,
      },
    );
    assert.type(health.get(name)?.syncedAt, 'number');
  }));

test('a deleted pod is terminating until it is really gone', () =>
  withMember(async ({ cluster, members, name, pods }) => {
    const member = cluster.member(name);
    member.remove('pods', 'first', { gracePeriodSeconds: 180 });
    await until('the deletion mark', () => members.observe().pods[0]?.terminating === true);
    member.remove('pods', 'first', { gracePeriodSeconds: 0 });
    await until('the deletion', () => pods().length === 0);
  }));

test('a pod that went is followed by a complete list at once, and its end is told with it', () =>
  withMember(async ({ cluster, members, name, pods }) => {
    const syncedAt = () => members.observe().health.get(name)?.syncedAt ?? 0;
    const before = syncedAt();
    const told: { pods: string[]; synced: boolean }[] = [];
    members.onChange(() => told.push({ pods: pods(), synced: syncedAt() > before }));
    cluster.member(name).remove('pods', 'first', { gracePeriodSeconds: 0 });
    await until('the end is told', () => told.some((one) => one.pods.length === 0));
    assert.ok(told.every((one) => one.synced || one.pods.length > 0));
  }, systemClock));

test('what happens while the watch is cut is seen after it', () =>
  withMember(async ({ cluster, name, addPod, pods, health }) => {
    for (const round of [1, 2, 3]) {
      cluster.disconnect(name);
      addPod(`during-cut-${round}`);
      await until(`the pod of cut ${round}`, () => pods().includes(`during-cut-${round}`));
    }
    assert.is(health(), 'healthy');
  }));

test('a watch whose version is too old leads to a new list', () =>
  withMember(async ({ cluster, name, addPod, pods, lists }) => {
    let refused = 0;
    cluster.intercept = ({ query }, response) => {
      if (query.get('watch') !== 'true' || refused > 0) return false;
      refused += 1;
      const status = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 };
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return true;
    };
    const before = lists();
    cluster.disconnect(name);
    await until('the refused watch', () => refused === 1);
    await until('the list after it', () => lists() >= before + 2);
    addPod('later');
    await until('the pod of the new watch', () => pods().includes('later'));
  }));

test('D16 a member that is down keeps its pods and is healthy again after the first list', () =>
  withMember(async ({ cluster, members, name, addPod, pods, health }) => {
    const member = cluster.member(name);
    const syncedAt = members.observe().health.get(name)?.syncedAt ?? 0;
    member.up = false;
    cluster.disconnect(name);
    await until('unhealthy', () => health() === 'unhealthy');
    assert.equal(pods(), ['first']);
    member.remove('pods', 'first', { gracePeriodSeconds: 0 });
    addPod('second');
    assert.equal(pods(), ['first'], 'silence is not deletion');
    member.up = true;
    await until('healthy', () => health() === 'healthy');
    assert.equal(pods(), ['second']);
    assert.ok((members.observe().health.get(name)?.syncedAt ?? 0) > syncedAt);
  }));

test('D16 a list that fails takes nothing away', () =>
  withMember(async ({ cluster, name, pods, health }) => {
    cluster.intercept = ({ path }, response) => {
      if (!path.endsWith('/pods')) return false;
      response.writeHead(500).end('{"kind":"Status","code":500,"message":"etcd is away"}');
      return true;
    };
    cluster.disconnect(name);
    await until('unhealthy', () => health() === 'unhealthy');
    assert.equal(pods(), ['first']);
  }));

test('a list is repeated after a while even if the watch says nothing', () =>
  withMember(async ({ lists }) => {
    const before = lists();
    await until('the next list', () => lists() > before);
  }));

test('a pod that cannot be read is reported once and left out', () =>
  withMember(async ({ cluster, name, bad, pods, lists }) => {
    cluster.member(name).create('pods', chutePod('stray', 'not-a-uuid', [], 30_001));
    await until('the report', () => bad.length === 1);
    const before = lists();
    cluster.disconnect(name);
    await until('another list', () => lists() > before);
    assert.equal(
      bad.map(({ name, problem }) => [name, problem]),
      [['stray', 'label chutes/deployment-id is "not-a-uuid", but it must be a UUID']],
    );
    assert.equal(pods(), ['first']);
  }));

test('many changes at once are told in few calls', () =>
  withMember(async ({ members, addPod, pods }) => {
    let calls = 0;
    members.onChange(() => {
      calls += 1;
    });
    for (let i = 0; i < 50; i += 1) addPod(`pod-${i}`);
    await until('all pods', () => pods().length === 51);
    await until('a call', () => calls > 0);
    assert.ok(calls < 25, `${calls} calls for 50 changes`);
  }));

test('a removed member is forgotten and no longer called', () =>
  withMember(async ({ cluster, members, name }) => {
    await members.remove(name);
    assert.is(members.observe().pods.length + members.observe().health.size, 0);
    const before = cluster.requests.length;
    await fast.sleep(60_000);
    assert.is(cluster.requests.length, before);
  }));

test('a new kubeconfig for a known member keeps its pods until the next list', () =>
  withMember(async ({ cluster, members, name, pods, health }) => {
    await members.add(name, cluster.kubeconfig(name, 'revoked'));
    assert.equal([pods(), health()], [['first'], 'unknown']);
    await members.add(name, cluster.kubeconfig(name));
    await until('healthy', () => health() === 'healthy');
    assert.equal(pods(), ['first']);
  }));

test.run();
