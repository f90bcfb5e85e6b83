import { gravalBootstrap } from '@miner/manifests/charts/graval-bootstrap.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bootstrapNames } from '../domain/bootstrap.ts';
import { scaledClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { BootstrapRequest, Members } from '../domain/ports.ts';
import { openMembers } from './members.ts';
import { startTestCluster, type TestCluster, until } from './testcluster.ts';

const silent = { info() {}, warn() {} };
const request: BootstrapRequest = {
  gpuCount: 8,
  cpuPerGpu: 4,
  memoryPerGpu: 24,
  image: `registry.example/graval:1@sha256:${'a'.repeat(64)}`,
  validatorHotkey: 'validator-ss58',
  minerHotkey: 'miner-ss58',
  nodePort: 31_234,
  timeoutSeconds: 900,
};
const never = new AbortController().signal;

interface Scene {
  cluster: TestCluster;
  members: Members;
  name: string;
  job: string;
  /** The pod the Job controller would make. */
  makePod(status: object): void;
  left(): string[];
}

async function withMember(run: (scene: Scene) => Promise<void>, speed = 100): Promise<void> {
  const cluster = await startTestCluster();
  const [name = ''] = cluster.names;
  const { job } = bootstrapNames(name);
  const members = openMembers({ clock: scaledClock(speed, Date.now()), log: silent, renderBootstrap: gravalBootstrap });
  const member = cluster.member(name);
  try {
    await members.add(name, cluster.kubeconfig(name));
    await run({
      cluster,
      members,
      name,
      job,
      makePod(status) {
        const { template } = (member.store.get('jobs', job)?.spec ?? {}) as {
          template?: { metadata: object; spec: object };
        };
        member.create('pods', { metadata: { ...template?.metadata, name: `${job}-x7k2p` }, spec: template?.spec });
        member.setStatus('pods', `${job}-x7k2p`, status);
      },
      left: () =>
        (['jobs', 'services', 'pods'] as const).flatMap((kind) =>
          member.store.list(kind).map(({ metadata }) => metadata.name),
        ),
    });
  } finally {
    await members.close();
    await cluster.close();
  }
}

const running = (ready: string) => ({ phase: 'Running', conditions: [{ type: 'Ready', status: ready }] });

/** What the Job controller does with a Job that is being deleted. */
function finishDeletion({ cluster, name, job }: Scene): void {
  const member = cluster.member(name);
  for (const { metadata } of member.store.list('pods')) member.remove('pods', metadata.name, { gracePeriodSeconds: 0 });
  if (member.store.get('jobs', job)) member.store.remove('jobs', job);
}

async function failure(call: Promise<unknown>): Promise<MinerError> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof MinerError) return error;
  throw new Error(`expected a MinerError, got ${String(error)}`);
}

const created = ({ cluster, name, job }: Scene) => cluster.member(name).store.get('jobs', job) !== undefined;
const deleting = ({ cluster, name, job }: Scene) =>
  cluster.member(name).store.get('jobs', job)?.metadata.deletionTimestamp !== undefined;

test('starting waits until the pod is ready, stopping until it is gone', () =>
  withMember(async (scene) => {
    const { cluster, members, name, makePod } = scene;
    const starting = members.startBootstrap(name, request, never);
    await until('the Job', () => created(scene));
    makePod(running('False'));
    const state = await Promise.race([
      starting.then(() => 'started'),
      new Promise((resolve) => setTimeout(resolve, 100, 'waits')),
    ]);
    assert.is(state, 'waits');
    cluster.member(name).setStatus('pods', `${scene.job}-x7k2p`, running('True'));
    assert.equal(await starting, { nodePort: 31_234 });

    const stopping = members.stopBootstrap(name);
    await until('the deletion', () => deleting(scene));
    const stopped = await Promise.race([
      stopping.then(() => 'stopped'),
      new Promise((resolve) => setTimeout(resolve, 60, 'waits')),
    ]);
    assert.is(stopped, 'waits');
    finishDeletion(scene);
    await stopping;
    assert.equal(scene.left(), []);
  }));

const failures: [what: string, status: object, message: RegExp][] = [
  ['fails', { phase: 'Failed' }, /failed: pod graval-\S+ is Failed$/],
  [
    'fails and says why',
    {
      phase: 'Failed',
      containerStatuses: [{ lastState: { terminated: { message: 'no GPU: libcuda.so.1 cannot be opened' } } }],
    },
    /failed: pod graval-\S+ is Failed: no GPU: libcuda.so.1 cannot be opened$/,
  ],
  [
    'does not become ready in time',
    { phase: 'Pending', containerStatuses: [{ state: { waiting: { reason: 'ImagePullBackOff' } } }] },
    /was not ready within 900 s: pod graval-\S+ is Pending \(ImagePullBackOff\)$/,
  ],
];
for (const [what, status, message] of failures) {
  test(`a pod that ${what} is an error, and nothing is left`, () =>
    withMember(async (scene) => {
      const starting = failure(scene.members.startBootstrap(scene.name, request, never));
      await until('the Job', () => created(scene));
      scene.makePod(status);
      await until('the deletion', () => deleting(scene));
      finishDeletion(scene);
      const error = await starting;
      assert.is(error.code, 'E-VERIFICATION');
      assert.match(error.message, message);
      assert.equal(scene.left(), []);
    }, 2000));
}

test('a cluster that is away for a moment does not end the verification', () =>
  withMember(async (scene) => {
    const { cluster, members, name } = scene;
    const starting = members.startBootstrap(name, request, never);
    await until('the Job', () => created(scene));
    let broken = 0;
    cluster.intercept = (_seen, response) => {
      broken += 1;
      if (broken > 3) return false;
      response.destroy();
      return true;
    };
    await until('some broken calls', () => broken >= 3);
    scene.makePod(running('True'));
    assert.equal(await starting, { nodePort: 31_234 });
  }));

test('D15 chutes that run on the GPUs are not disturbed', () =>
  withMember(async ({ cluster, members, name, left }) => {
    const member = cluster.member(name);
    const template = { spec: { containers: [{ name: 'chute', image: 'a/b:c' }], restartPolicy: 'Never' } };
    const metadata = { name: 'chute-1', labels: { 'chutes/chute': 'true' } };
    member.create('jobs', { metadata, spec: { template } });
    const error = await failure(members.startBootstrap(name, request, never));
    assert.equal([error.code, error.message], ['E-IN-USE', `GPUs of ${name} are in use by chute-1`]);
    assert.equal(left(), ['chute-1']);
    member.setStatus('jobs', 'chute-1', { conditions: [{ type: 'Complete', status: 'True' }] });
    const abort = new AbortController();
    abort.abort();
    const starting = failure(members.startBootstrap(name, request, abort.signal));
    await until('the deletion', () => deleting({ cluster, members, name, left, job: `graval-${name}`, makePod() {} }));
    member.store.remove('jobs', `graval-${name}`);
    assert.is((await starting).code, 'E-VERIFICATION');
  }));

test('a node port that is taken is named', () =>
  withMember(async ({ cluster, members, name, left }) => {
    const ports = [{ port: 8000, nodePort: 31_234 }];
    cluster
      .member(name)
      .create('services', { metadata: { name: 'other' }, spec: { type: 'NodePort', selector: { a: 'b' }, ports } });
    const error = await failure(members.startBootstrap(name, request, never));
    assert.equal([error.code, error.message], ['E-IN-USE', `node port 31234 of ${name} is taken`]);
    assert.equal(left(), ['other']);
  }));

test('stopping what was never started is done at once', () =>
  withMember(async ({ members, name }) => {
    await members.stopBootstrap(name);
  }));

test('stopping gives up after 120 s and says what is left', () =>
  withMember(async (scene) => {
    const { members, name, job } = scene;
    const starting = members.startBootstrap(name, request, never);
    await until('the Job', () => created(scene));
    scene.makePod(running('True'));
    await starting;
    const error = await failure(members.stopBootstrap(name));
    assert.equal(
      [error.code, error.message],
      ['E-CLUSTER', `${job}-x7k2p on ${name} is still there 120 s after its deletion`],
    );
  }, 2000));

test.run();
