import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chute, config, gpuIds, render, server, specFor } from '../fixtures.ts';
import { everyKind, job, jobId, oldLibrary, parse, rejects } from '../parsed.ts';

test('R2 no Secret is rendered', () => {
  for (const change of Object.values(everyKind)) {
    assert.is(
      parse(change).all.find(({ kind }) => kind === 'Secret'),
      undefined,
    );
  }
});

test('R5 names are exactly those the validator looks for, service links are on', () => {
  const { service, job: rendered, of, pod } = parse({ chute: oldLibrary });
  assert.is(service.metadata.name, 'chute-service-1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed');
  assert.is(rendered.metadata.name, 'chute-1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed');
  assert.match(
    of('ConfigMap').metadata.name,
    /^chute-code-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.is(pod.enableServiceLinks, true);
});

test('R5 the Service comes before everything else', () => {
  for (const change of Object.values(everyKind)) {
    const kinds = parse(change).all.map(({ kind }) => kind);
    assert.is(kinds[0], 'Service');
    assert.is(kinds.at(-1), 'Job');
  }
});

test('Service and Job say why they are there, as the text that it is', () => {
  const explanation = 'bounty; gain 2.5; not "x": {{y}} on gpu-01 (value 0.9): less # than ours';
  const { service, job: rendered } = parse({ explanation });
  for (const { metadata } of [service, rendered]) {
    assert.is(
      (metadata as { annotations?: Record<string, string> }).annotations?.['chutes-miner.io/because'],
      explanation,
    );
  }
  assert.not.match(render(), /because/);
});

test('R13 the same inputs give the same bytes, whatever the order of their keys', () => {
  const backwards = <T extends object>(of: T): T => Object.fromEntries(Object.entries(of).reverse()) as T;
  const { chute: jobChute } = job;
  const spec = backwards(specFor({ ...chute, ...jobChute }, { jobId }));
  assert.is(render({ chute: backwards({ ...chute, ...jobChute }), server: backwards(server), spec }), render(job));
  rejects({ spec: { gpuIds: gpuIds.toReversed() } }, /R13: GPU 0123.* follows 8f6e.*, but GPU ids must be sorted/);
});

test('R19 chutes carry no Argo CD annotation', () => {
  for (const change of Object.values(everyKind)) assert.not.match(render(change), /argocd/);
});

test('R27 label values are valid', () => {
  rejects({ chute: { version: 'v'.repeat(64) } }, /R27: label chutes\/version has 64 characters, but .* at most 63/);
  rejects({ chute: { version: 'v 1' } }, /R27: label chutes\/version is "v 1"/);
});

test('R28 every object is in namespace chutes', () => {
  for (const { metadata } of parse({ chute: oldLibrary }).all) assert.is(metadata.namespace, 'chutes');
});

test('R29 only core and batch kinds of Kubernetes 1.28 are used', () => {
  const kinds = parse({ chute: oldLibrary }).all.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`);
  assert.equal(kinds, ['v1/Service', 'v1/ConfigMap', 'batch/v1/Job']);
});

test('R30 nothing refers to another variable', () => {
  for (const change of Object.values(everyKind)) assert.not.match(render(change), /\$\(/);
});

test('R32 ids are UUIDs before they become part of a name or a path', () => {
  const bad = '../../etc';
  rejects({ spec: { deploymentId: bad } }, /R32: deployment id is "..\/..\/etc"/);
  rejects({ chute: { chuteId: bad } }, /R32: chute id is/);
  rejects({ spec: { configId: bad } }, /R32: config id is/);
  rejects({ spec: { jobId: bad } }, /R32: job id is/);
  rejects({ spec: { gpuIds: [bad, bad] } }, /R32: GPU id is/);
});

test('a deployment that does not fit its chute or server is not rendered', () => {
  rejects({ spec: { version: 'other' } }, /version of the deployment is "other", but the chute has "9d2f6c1e/);
  rejects({ spec: { server: 'gpu-08' } }, /server of the deployment is "gpu-08", but the server has "gpu-07"/);
  rejects({ server: { validator: config.hotkey } }, /validator of the deployment .* but the server has/);
  rejects({ spec: { gpuIds: gpuIds.slice(0, 1) } }, /holds 1 GPUs, but the chute needs exactly 2/);
  rejects({ server: { gpus: [] } }, /GPU 0123\w+ is used, but server gpu-07 has none/);
});

test('Job and pod carry what the deployment is read back from', () => {
  const { job: rendered } = parse(job);
  const { metadata } = rendered.spec.template;
  assert.equal(metadata.labels, rendered.metadata.labels);
  assert.equal(metadata.labels, {
    'chutes/chute': 'true',
    'chutes/chute-id': chute.chuteId,
    'chutes/config-id': 'e4eaaaf2-d142-51b8-b0d4-1d3a5f5e0c77',
    'chutes/deployment-id': '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed',
    'chutes/job': 'true',
    'chutes/job-id': jobId,
    'chutes/version': chute.version,
  });
  assert.equal(rendered.metadata.annotations, {
    'chutes-miner.io/chute-name': 'llama-3-70b',
    'chutes-miner.io/decision-id': '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    'chutes-miner.io/disk-gb': '10',
    'chutes-miner.io/gpu-ids': gpuIds.join(','),
    'chutes-miner.io/preemptible': 'true',
    'chutes-miner.io/reason': 'scale-up',
    'chutes-miner.io/server': 'gpu-07',
    'chutes-miner.io/validator': server.validator,
  });
  for (const [key, text] of Object.entries(rendered.metadata.annotations ?? {}))
    assert.is(metadata.annotations[key], text);
});

test.run();
