import { renderChute } from '@miner/manifests/charts/chute.ts';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../domain/chute.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import { allocateNodePorts, mapPorts, podPorts } from '../domain/nodeport.ts';
import { needsLaunchToken } from '../domain/version.ts';
import { guardTree } from './guard.ts';
import { parseDeployment, parseManifest } from './manifest.ts';
import { deploymentPath } from './misfits.ts';
import { config, makeChute, makeServer, makeSpec, render, uuidOf, validator } from './testing/fixture.ts';
import { readSimpleYaml } from './yamlread.ts';

const server = { ...makeServer(3), validator };

const chutes: fc.Arbitrary<Chute> = fc
  .record({
    name: fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.constantFrom('llama', 'no', '1e3', 'a: b', '"', '#'),
    ),
    gpuCount: fc.integer({ min: 1, max: 8 }),
    chutesVersion: fc.constantFrom(undefined, '0.2.9', '0.3.3', '0.3.61', '0.6.0'),
    tee: fc.boolean(),
    jobPorts: fc.uniqueArray(
      fc.record({ port: fc.integer({ min: 8010, max: 9000 }), proto: fc.constantFrom('TCP' as const, 'UDP' as const) }),
      { maxLength: 3, selector: ({ port }) => port },
    ),
    code: fc.constantFrom(
      'import os\n\nprint(1)\n',
      `digest = "${'ab'.repeat(32)}"\n\ttabbed\n`,
      'no line end',
      '\n\n  odd\n\n',
    ),
  })
  .map((some) => ({ ...makeChute(5), ...some }));

const specs = fc
  .record({
    chute: chutes,
    job: fc.boolean(),
    diskGb: fc.integer({ min: 10, max: 1000 }),
    preemptible: fc.boolean(),
    reason: fc.constantFrom('scale-up', 'bounty', 'rolling-update', 'job' as const),
  })
  .map(({ chute, job, ...rest }): { chute: Chute; spec: DeploymentSpec } => {
    const wanted = podPorts(chute, job);
    const nodePorts = allocateNodePorts(new Set([30001]), wanted.length) ?? [];
    const gpus = Array.from({ length: chute.gpuCount }, (_, gpu) => gpu);
    const spec = {
      ...makeSpec({ id: 9, server: 3, chute, gpus, nodePort: 0 }),
      ...rest,
      ports: mapPorts(wanted, nodePorts),
      configId: needsLaunchToken(chute) ? uuidOf(10) : undefined,
      jobId: job ? uuidOf(11) : undefined,
    };
    return { chute, spec };
  });

test('whatever is rendered reads back as the deployment it was made from, and passes the guard', () => {
  fc.assert(
    fc.property(specs, ({ chute, spec }) => {
      const path = deploymentPath(spec);
      const text = renderChute(spec, { config, server, chute });
      assert.equal(parseDeployment(text, path), spec);
      const tree = new Map([[path, parseManifest(text, path, 'x')]]);
      const context = { servers: new Map([[server.name, server]]), config, gpuCount: () => chute.gpuCount };
      assert.equal(guardTree(tree, context), []);
    }),
    { numRuns: 60 },
  );
});

test('rendered files are read by the fast reader', () => {
  const chute = makeChute(1);
  const spec = makeSpec({ id: 1, server: 3, chute, gpus: [0], nodePort: 31000 });
  assert.ok(readSimpleYaml(renderChute(spec, { config, server, chute })));
});

const spec = makeSpec({ id: 1, server: 3, chute: makeChute(1), gpus: [0, 1], nodePort: 31000 });
const path = deploymentPath(spec);
const text = render(spec, { config, server, chute: makeChute(1) });

test('what cannot be the deployment of its path is refused, with path and problem', () => {
  const cases: [string, string, RegExp][] = [
    [text, 'chutes/gpu-0003/notes.yaml', /is not called/],
    [text, path.replace('gpu-0003', 'gpu-0004'), /path is .*gpu-0004.* expected .*gpu-0003/],
    ['', path, /0 objects of kind Job/],
    [text.replace('kind: Service', 'kind: Job'), path, /2 objects of kind Job/],
    [text.replaceAll('chutes/deployment-id', 'deployment-id'), path, /Job metadata\.labels\.chutes\/deployment-id/],
    [text.replace(/gpu-ids: .*/g, 'gpu-ids: none'), path, /gpu-ids.*32 hex digits/],
    [text.replace(/memory: .*/, 'memory: lots'), path, /resources\.limits\.memory/],
    [`${text}\t- [`, path, /not valid YAML/],
    [`# ${'x'.repeat(3_000_000)}\n${text}`, path, /longer than/],
  ];
  for (const [yaml, at, problem] of cases) {
    try {
      parseDeployment(yaml, at);
      assert.unreachable(String(problem));
    } catch (error) {
      assert.instance(error, MinerError, String(error));
      assert.is((error as MinerError).code, 'E-GUARD');
      assert.ok((error as MinerError).message.startsWith(`${at}: `));
      assert.match((error as MinerError).message, problem);
    }
  }
});

test('a valid file reads back whatever its YAML style', () => {
  assert.equal(parseDeployment(text, path), spec);
  assert.equal(parseDeployment(`# rendered\n${text}`, path), spec);
});

test.run();
