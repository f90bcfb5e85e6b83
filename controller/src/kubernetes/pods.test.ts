import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ObservedPod } from '../domain/deployment.ts';
import { parsePod } from './pods.ts';

const deploymentId = '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed';
const created = '2026-03-01T12:00:00Z';

function pod(change: { metadata?: object; spec?: object; status?: object; env?: object[] } = {}): object {
  return {
    metadata: {
      name: 'p',
      labels: { 'chutes/deployment-id': deploymentId },
      creationTimestamp: created,
      ...change.metadata,
    },
    spec: { containers: [{ name: 'chute', env: change.env }], ...change.spec },
    status: change.status,
  };
}

const parse = (change: Parameters<typeof pod>[0]): ObservedPod => parsePod('gpu-1', pod(change));

test('times are read as text of a watch and as dates of a list', () => {
  assert.is(parse({}).createdAt, Date.parse(created));
  assert.is(parse({ metadata: { creationTimestamp: new Date(created) } }).createdAt, Date.parse(created));
  assert.is(parse({}).terminating, false);
  assert.is(parse({ metadata: { deletionTimestamp: created } }).terminating, true);
});

test('GPU ids come from both variables, without prefix and dashes, once and sorted', () => {
  const env = [
    {
      name: 'NVIDIA_VISIBLE_DEVICES',
      value: 'GPU-ffffffff-0000-4000-8000-000000000002, GPU-aaaaaaaa-0000-4000-8000-000000000001',
    },
    { name: 'CHUTES_NVIDIA_DEVICES', value: 'GPU-ffffffff-0000-4000-8000-000000000002' },
  ];
  assert.equal(parse({ env }).gpuIds, ['aaaaaaaa000040008000000000000001', 'ffffffff000040008000000000000002']);
  assert.equal(parse({ env: [{ name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' }] }).gpuIds, []);
});

test('node ports come from every CHUTES_PORT variable', () => {
  const env = [
    { name: 'CHUTES_PORT_PRIMARY', value: '30000' },
    { name: 'CHUTES_PORT_UDP_9000', value: '30007' },
    { name: 'CHUTES_PORT_LOGGING', value: 'soon' },
    { name: 'CHUTES_LAUNCH_JWT', valueFrom: { secretKeyRef: { name: 's', key: 'token' } } },
  ];
  assert.equal(parse({ env }).nodePorts, [30_000, 30_007]);
});

test('the variables of the chute container count, not those of a side car', () => {
  const gpus = (name: string, id: string) => ({ name, env: [{ name: 'NVIDIA_VISIBLE_DEVICES', value: `GPU-${id}` }] });
  const containers = [gpus('side', 'a'.repeat(32)), gpus('chute', 'b'.repeat(32))];
  assert.equal(parse({ spec: { containers } }).gpuIds, ['b'.repeat(32)]);
});

const waiting = (reason: string) => ({ state: { waiting: { reason } } });
const terminated = (exitCode: number, reason?: string) => ({ state: { terminated: { exitCode, reason } } });
const details: [what: string, status: object, detail: string | undefined][] = [
  ['an image that cannot be pulled', { containerStatuses: [waiting('ImagePullBackOff')] }, 'ImagePullBackOff'],
  ['a crash', { containerStatuses: [terminated(137, 'OOMKilled')] }, 'OOMKilled'],
  ['a crash without a reason', { containerStatuses: [terminated(1)] }, 'Error'],
  ['a normal end', { containerStatuses: [terminated(0, 'Completed')] }, undefined],
  [
    'an init container that failed',
    { initContainerStatuses: [terminated(2, 'Error')], containerStatuses: [waiting('PodInitializing')] },
    'Error',
  ],
  [
    'an init container that is done',
    { initContainerStatuses: [terminated(0, 'Completed')], containerStatuses: [waiting('ContainerCreating')] },
    'ContainerCreating',
  ],
  ['an eviction', { reason: 'Evicted' }, 'Evicted'],
  ['nothing to tell', {}, undefined],
];
for (const [what, status, detail] of details) {
  test(`the detail of ${what} is ${detail ?? 'empty'}`, () => {
    assert.is(parse({ status: { phase: 'Pending', ...status } }).detail, detail);
  });
}

test('phase and readiness are taken from the status; without one the pod is pending', () => {
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  assert.equal([parse({ status }).phase, parse({ status }).ready], ['Running', true]);
  assert.equal([parse({}).phase, parse({}).ready], ['Pending', false]);
  assert.is(parse({ status: { phase: 'Dreaming' } }).phase, 'Unknown');
});

test('a pod without a deployment id is refused', () => {
  assert.throws(() => parse({ metadata: { labels: {} } }), /label chutes\/deployment-id is ""/);
  assert.throws(() => parsePod('gpu-1', null));
});

test.run();
