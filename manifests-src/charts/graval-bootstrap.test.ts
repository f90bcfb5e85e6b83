// The Service and the Job of a GPU verification, which the controller applies itself.

import { bootstrapNames, bootstrapSelector } from '@miner/controller/domain/bootstrap.ts';
import { MinerError } from '@miner/controller/domain/errors.ts';
import type { BootstrapRequest } from '@miner/controller/domain/ports.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kubernetesVersions, schemaProblems } from '../testing/schema.ts';
import { type Container, objectsOf, type Pod, the } from '../testing/tree.ts';
import { gravalBootstrap } from './graval-bootstrap.ts';

const request: BootstrapRequest = {
  gpuCount: 8,
  cpuPerGpu: 4,
  memoryPerGpu: 24,
  image: `registry.example/graval:1@sha256:${'a'.repeat(64)}`,
  validatorHotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  minerHotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  nodePort: 31_234,
  timeoutSeconds: 900,
};

interface Objects {
  service: {
    metadata: { name: string; namespace: string };
    spec: { type: string; selector: object; ports: { nodePort: number; targetPort: number }[] };
  };
  job: {
    metadata: { name: string; labels: Record<string, string> };
    spec: {
      backoffLimit: number;
      ttlSecondsAfterFinished: number;
      template: {
        metadata: { labels: Record<string, string> };
        spec: Pod & { nodeName: string; runtimeClassName: string; containers: Container[] };
      };
    };
  };
}
const draw = (change: Partial<BootstrapRequest> = {}, member = 'gpu-07') =>
  gravalBootstrap(member, { ...request, ...change }) as unknown as Objects;
const { service, job } = draw();
const pod = job.spec.template.spec;
const [main] = pod.containers;

test('D1 its pods have the label that the network policy selects, and what the Service selects', () => {
  const { labels } = job.spec.template.metadata;
  const policy = the(objectsOf(), 'NetworkPolicy', 'verification', 'members/');
  for (const wanted of [policy.spec.podSelector?.matchLabels ?? {}, service.spec.selector, bootstrapSelector('gpu-07')])
    for (const [key, value] of Object.entries(wanted)) assert.is(labels[key], value, key);
  // It is no chute: neither the policy of chutes nor what counts them may take it for one.
  assert.is(labels['chutes/chute'], undefined);
});

test('D15 it is told whom it may answer, and a server whose name has dots is found by the label it got', () => {
  assert.equal(
    main?.env?.map(({ name, value }) => `${name}=${value}`),
    [`VALIDATOR_WHITELIST=${request.validatorHotkey}`, `MINER_HOTKEY_SS58=${request.minerHotkey}`, 'HOME=/tmp'],
  );
  const dotted = draw({}, 'gpu.example.com');
  assert.is(dotted.job.metadata.labels['graval-node'], 'gpu.example.com');
  assert.equal(dotted.service.spec.selector, bootstrapSelector('gpu.example.com'));
  assert.is(dotted.job.metadata.name, 'graval-gpu-example-com');
});

test('R1 nothing secret is in it, and it has no token of the cluster', () => {
  assert.not.match(JSON.stringify({ service, job }), /secret|seed/i);
  assert.is(pod.automountServiceAccountToken, false);
});

test('R12 it is reached at the node port that was given out for it', () => {
  assert.equal([service.spec.type, service.spec.ports[0]?.nodePort], ['NodePort', 31_234]);
});

test('R14 it goes by itself when it has ended, because git does not declare it', () => {
  assert.equal([job.spec.ttlSecondsAfterFinished, job.spec.backoffLimit], [300, 3]);
});

test('R20 an image with a digest is not asked for again', () => {
  assert.is(main?.imagePullPolicy, 'IfNotPresent');
  assert.is(
    draw({ image: 'registry.example/graval:1' }).job.spec.template.spec.containers[0]?.imagePullPolicy,
    'Always',
  );
});

test('R21 it takes every GPU of its server, and amounts that are nought are refused', () => {
  const amounts = { cpu: '32', memory: '192Gi', 'nvidia.com/gpu': '8' };
  assert.equal(main?.resources, { requests: amounts, limits: amounts });
  assert.equal([pod.nodeName, pod.runtimeClassName], ['gpu-07', 'nvidia']);
  for (const change of [{ gpuCount: 0 }, { memoryPerGpu: 0 }, { cpuPerGpu: 1.3 }])
    assert.throws(
      () => draw(change),
      (error: unknown) => error instanceof MinerError && error.code === 'E-GUARD' && /^R21/.test(error.message),
    );
});

test('R23 it is a restricted pod', () => {
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = main?.securityContext ?? {};
  assert.equal(
    [pod.securityContext.runAsNonRoot, pod.securityContext.seccompProfile],
    [true, { type: 'RuntimeDefault' }],
  );
  assert.equal([allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities], [false, true, { drop: ['ALL'] }]);
});

test('R27 names stay within 63 characters and differ', () => {
  const long = ['a', 'b'].map((end) => bootstrapNames(`${'x'.repeat(62)}${end}`));
  const names = [...long, bootstrapNames('gpu.example.com')].flatMap((one) => [one.job, one.service]);
  assert.is(new Set(names).size, 6);
  for (const name of names) assert.match(name, /^graval-[a-z0-9-]{1,56}$/);
  assert.throws(() => draw({}, 'x'.repeat(64)), /R27/);
});

for (const version of kubernetesVersions)
  test(`R29 Kubernetes ${version} knows every field of it`, () => {
    for (const object of [service, job])
      assert.equal(schemaProblems(object as unknown as { apiVersion: string; kind: string }, version), []);
  });

test.run();
