import { seededRandom } from '@miner/controller/domain/random.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ManualClock, manualClock } from './fixtures.ts';
import { createJobController } from './jobs.ts';
import type { KubeObject } from './kube.ts';
import { createKubelet } from './kubelet.ts';
import { createMember, type Member } from './member.ts';
import { createLedger, type Ledger, type PodRecord } from './record.ts';
import { makeServers } from './servers.ts';

const [server] = makeServers(1, 1) as [ReturnType<typeof makeServers>[number]];
const fast = { ...server, netMbps: 10_000, diskReadGbps: 4, cacheGb: 100, cpus: 16, memoryGiB: 128, diskGb: 1000 };
// Image 8 s, weights 40 s, load and warm-up 22 s.
const size = { imageGb: 10, modelGb: 40, modelKey: 'm', warmupSeconds: 12 };

interface Harness {
  clock: ManualClock;
  member: Member;
  ledger: Ledger;
  kubelet: ReturnType<typeof createKubelet>;
  errors: unknown[];
  pods(): KubeObject[];
  pod(): KubeObject | undefined;
  phase(): string | undefined;
  waiting(): string | undefined;
}

function harness(saved?: { pods: PodRecord[]; from: Member; clock: ManualClock }): Harness {
  const clock = saved?.clock ?? manualClock();
  const random = seededRandom(1);
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const stored = saved && { store: saved.from.store.snapshot(), cache: saved.from.cache, up: true };
  const member = createMember(fast, { clock, random, onPortConflict: () => {}, saved: stored });
  const ledger = createLedger(
    () => clock.now(),
    () => {},
  );
  const kubelet = createKubelet(member, {
    ...{ clock, random, ledger, onError, sizeOf: () => size, saved: saved?.pods },
    ...{ inspect: () => {}, onContainer: () => {}, onChange: () => {} },
  });
  const jobs = createJobController(member, { clock, random, onError });
  member.store.onChange((change) => {
    jobs.handle(change);
    kubelet.handle(change);
  });
  jobs.start();
  kubelet.start(false);
  const pods = () => member.store.list('pods');
  const status = () => pods()[0]?.status as Record<string, unknown> | undefined;
  return {
    ...{ clock, member, ledger, kubelet, errors, pods },
    pod: () => pods()[0],
    phase: () => status()?.phase as string | undefined,
    waiting() {
      const [container] = (status()?.containerStatuses ?? []) as { state?: { waiting?: { reason: string } } }[];
      return container?.state?.waiting?.reason;
    },
  };
}

interface JobFields {
  name?: string;
  env?: unknown[];
  spec?: object;
  podSpec?: object;
  cpu?: string;
}

/** A chute that needs no token: library below 0.3.0. */
function job({ name = 'chute-a', env = [], spec = {}, podSpec = {}, cpu = '4' }: JobFields = {}) {
  const labels = { 'chutes/chute': 'true', 'chutes/chute-id': 'c', 'chutes/deployment-id': 'a' };
  const resources = { requests: { cpu, memory: '8Gi', 'ephemeral-storage': '10Gi' } };
  const container = { name: 'chute', image: 'registry/user/app:1', command: ['chutes'], env, resources };
  const template = { metadata: { labels }, spec: { restartPolicy: 'Never', containers: [container], ...podSpec } };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels },
    spec: { backoffLimit: 0, template, ...spec },
  };
}

function jobStatus({ member }: Harness, name = 'chute-a') {
  return member.store.get('jobs', name)?.status as Record<string, unknown> | undefined;
}

function isReady(pod: KubeObject | undefined): boolean {
  const { conditions = [] } = (pod?.status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

test('a Job makes one pod, named after it, that carries its labels and belongs to it', async () => {
  const h = harness();
  h.member.create('jobs', job());
  await h.clock.advance(1);
  assert.is(h.pods().length, 1);
  const pod = h.pod();
  assert.match(pod?.metadata.name ?? '', /^chute-a-[a-z0-9]{5}$/);
  assert.is(pod?.metadata.labels?.['chutes/deployment-id'], 'a');
  assert.is(pod?.metadata.labels?.['job-name'], 'chute-a');
  assert.is(pod?.metadata.ownerReferences?.[0]?.name, 'chute-a');
  assert.is(jobStatus(h)?.active, 1);
  assert.equal(h.errors, []);
});

test('a cold start takes pull, download, load and warm-up; the next one on the server only the load', async () => {
  const h = harness();
  h.member.create('jobs', job());
  await h.clock.advance(12);
  assert.is(h.phase(), 'Pending');
  await h.clock.advance(2);
  assert.is(h.phase(), 'Running');
  await h.clock.advance(60);
  assert.not(isReady(h.pod()), 'ready is at 5 + 8 + 40 + 22 = 75 s');
  await h.clock.advance(2);
  assert.ok(isReady(h.pod()));
  assert.is(jobStatus(h)?.ready, 1);

  h.member.remove('jobs', 'chute-a', { propagationPolicy: 'Foreground' });
  await h.clock.advance(30);
  h.member.create('jobs', job());
  await h.clock.advance(30);
  assert.ok(isReady(h.pod()), 'ready is at 5 + 2 + 22 = 29 s');
});

test('without its Secret a container waits, and starts once the Secret is there', async () => {
  const env = [{ name: 'X', valueFrom: { secretKeyRef: { name: 'launch-a', key: 'token' } } }];
  const h = harness();
  h.member.create('jobs', job({ env }));
  await h.clock.advance(600);
  assert.is(h.waiting(), 'CreateContainerConfigError');
  h.member.create('secrets', { metadata: { name: 'launch-a' }, stringData: { other: 'x' } });
  await h.clock.advance(10);
  assert.is(h.waiting(), 'CreateContainerConfigError', 'the key is missing');
  h.member.patch('secrets', 'launch-a', (secret) => ({ ...secret, stringData: { token: 'x' } }));
  await h.clock.advance(10);
  assert.is(h.phase(), 'Running');
});

test('a missing ConfigMap holds the pod back before its image is pulled', async () => {
  const h = harness();
  h.member.create('jobs', job({ podSpec: { volumes: [{ name: 'code', configMap: { name: 'chute-code' } }] } }));
  await h.clock.advance(600);
  assert.is(h.waiting(), 'ContainerCreating');
  assert.equal(h.member.cache.images, []);
  h.member.create('configmaps', { metadata: { name: 'chute-code' }, data: {} });
  await h.clock.advance(30);
  assert.is(h.phase(), 'Running');
});

test('a deleted pod goes within 20 s, and its Job has failed without another try', async () => {
  const h = harness();
  h.member.create('jobs', job());
  await h.clock.advance(100);
  h.member.remove('pods', h.pod()?.metadata.name ?? '');
  await h.clock.advance(2);
  assert.ok(h.pod()?.metadata.deletionTimestamp);
  await h.clock.advance(18);
  assert.equal(h.pods(), []);
  assert.is(jobStatus(h)?.failed, 1);
  await h.clock.advance(600);
  assert.equal(h.pods(), []);
});

test('with tries left the Job makes a new pod', async () => {
  const h = harness();
  h.member.create('jobs', job({ spec: { backoffLimit: 1 } }));
  await h.clock.advance(100);
  for (const [failed, left] of [
    [1, 1],
    [2, 0],
  ]) {
    h.member.remove('pods', h.pod()?.metadata.name ?? '');
    await h.clock.advance(100);
    assert.is(jobStatus(h)?.failed, failed);
    assert.is(h.pods().length, left);
  }
});

test('foreground deletion keeps the Job until its pod is gone, background deletion does not', async () => {
  for (const [propagationPolicy, stays] of [
    ['Foreground', true],
    ['Background', false],
  ] as const) {
    const h = harness();
    h.member.create('jobs', job());
    await h.clock.advance(100);
    h.member.remove('jobs', 'chute-a', { propagationPolicy });
    await h.clock.advance(1);
    assert.is(h.member.store.get('jobs', 'chute-a') !== undefined, stays, propagationPolicy);
    assert.ok(h.pod()?.metadata.deletionTimestamp, propagationPolicy);
    await h.clock.advance(20);
    assert.is(h.member.store.get('jobs', 'chute-a'), undefined);
    assert.equal(h.pods(), []);
  }
});

test('a finished Job goes after its time to live', async () => {
  const h = harness();
  h.ledger.failLaunches({ server: server.name }, 1, 10);
  h.member.create('jobs', job({ spec: { backoffLimit: 0, ttlSecondsAfterFinished: 300 } }));
  await h.clock.advance(100);
  assert.is(h.phase(), 'Failed');
  assert.ok(h.member.store.get('jobs', 'chute-a'));
  await h.clock.advance(300);
  assert.is(h.member.store.get('jobs', 'chute-a'), undefined);
  assert.equal(h.pods(), []);
});

test('ordered failures strike as often as ordered, and only within their scope', async () => {
  const h = harness();
  h.ledger.failLaunches({ chuteId: 'other' }, 1, 5);
  h.ledger.failLaunches({ chuteId: 'c', server: server.name }, 1, 5);
  const phases: (string | undefined)[] = [];
  for (let i = 0; i < 2; i++) {
    h.member.create('jobs', job());
    await h.clock.advance(30);
    phases.push(h.phase());
    h.member.remove('jobs', 'chute-a');
    await h.clock.advance(30);
  }
  assert.equal(phases, ['Failed', 'Running']);
});

test('a pod the node has no room for fails at once, beside one that fits', async () => {
  const h = harness();
  h.member.create('jobs', job({ name: 'chute-a', cpu: '10' }));
  h.member.create('jobs', job({ name: 'chute-b', cpu: '7' }));
  await h.clock.advance(100);
  assert.is(jobStatus(h, 'chute-a')?.ready, 1);
  assert.is(jobStatus(h, 'chute-b')?.failed, 1);
  const rejected = h.pods().find(({ metadata }) => metadata.name.startsWith('chute-b'));
  assert.is((rejected?.status as { reason?: string } | undefined)?.reason, 'OutOfcpu');
});

test('after a power cut running containers are dead, waiting ones begin again, caches are kept', async () => {
  const h = harness();
  h.member.create('jobs', job());
  await h.clock.advance(100);
  const env = [{ name: 'X', valueFrom: { secretKeyRef: { name: 'none', key: 'token' } } }];
  h.member.create('jobs', job({ name: 'chute-b', env }));
  await h.clock.advance(100);
  h.kubelet.stop();
  await h.clock.advance(100);
  h.kubelet.start(true);
  await h.clock.advance(30);
  const phases = h.pods().map(({ status }) => (status as { phase?: string }).phase);
  assert.equal(phases, ['Failed', 'Pending']);
  assert.equal(h.member.cache.images, ['registry/user/app:1']);
  assert.is(h.member.cache.models.length, 1);
});

test('progress written down in the middle of a download goes on from there', async () => {
  const h = harness();
  h.member.create('jobs', job());
  await h.clock.advance(30);
  await h.kubelet.quiesce();
  const pods = JSON.parse(JSON.stringify(h.kubelet.snapshot()));
  const resumed = harness({ pods, from: h.member, clock: h.clock });
  await h.clock.advance(44);
  assert.not(isReady(resumed.pod()));
  await h.clock.advance(2);
  assert.ok(isReady(resumed.pod()));
});

test('what no kubelet could run is refused before it is stored', () => {
  const h = harness();
  const noContainers = { metadata: { name: 'p' }, spec: { containers: [] } };
  assert.throws(() => h.member.create('pods', noContainers), /invalid/);
  assert.throws(() => h.member.create('jobs', job({ cpu: 'many' })), /invalid/);
  assert.equal(h.pods(), []);
});

test.run();
