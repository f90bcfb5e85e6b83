import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { chuteRegistries } from '../domain/config.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import { type GuardContext, guardTree } from './guard.ts';
import { type ParsedManifest, parseManifest } from './manifest.ts';
import { deploymentPath, type ViolationCode } from './misfits.ts';
import { config, gpuIdOf, makeChute, makeServer, makeSpec, objectsOf, render, uuidOf } from './testing/fixture.ts';

const gpusPerServer = 4;

interface Fleet {
  tree: Map<string, ParsedManifest>;
  specs: DeploymentSpec[];
  context: GuardContext;
}

function fleetOf(specs: DeploymentSpec[], servers: Server[]): Fleet {
  const byName = new Map(servers.map((server) => [server.name, server]));
  const tree = new Map<string, ParsedManifest>();
  for (const spec of specs) {
    const server = byName.get(spec.server) ?? makeServer(0);
    const path = deploymentPath(spec);
    tree.set(path, parseManifest(render(spec, { config, server, chute: makeChute(1) }), path, spec.deploymentId));
  }
  return { tree, specs, context: { servers: byName, config } };
}

/** Sizes of the deployments of each server, at most its four GPUs together. */
const fleets = fc
  .array(
    fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }).map((sizes) => {
      let left = gpusPerServer;
      return sizes.filter((size) => {
        left -= size;
        return left >= 0;
      });
    }),
    { minLength: 2, maxLength: 3 },
  )
  .map((servers) => {
    let id = 0;
    const specs = servers.flatMap((sizes, server) => {
      let gpu = 0;
      return sizes.map((size) => {
        const gpus = Array.from({ length: size }, () => gpu++);
        return makeSpec({ id: ++id, server, chute: makeChute(size, size), gpus, nodePort: 31000 + 2 * id });
      });
    });
    return fleetOf(
      specs,
      servers.map((_, n) => makeServer(n, gpusPerServer)),
    );
  })
  .filter(({ specs }) => specs.length >= 2);

type Objects = ReturnType<typeof objectsOf>;

interface Mutation {
  code: ViolationCode;
  /** Change the objects of `spec`; `other` is another deployment of the fleet. */
  change(objects: Objects, spec: DeploymentSpec, other: DeploymentSpec): void;
}

function setGpus({ service, job }: Objects, gpuIds: readonly string[]): void {
  const env = job.spec.template.spec.containers[0]?.env[0];
  if (env) env.value = gpuIds.map((id) => `GPU-${id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`).join(',');
  for (const { annotations } of [service.metadata, job.metadata, job.spec.template.metadata]) {
    annotations['chutes-miner.io/gpu-ids'] = gpuIds.join(',');
  }
}

function container({ job }: Objects): Objects['job']['spec']['template']['spec']['containers'][0] {
  const [first] = job.spec.template.spec.containers;
  if (!first) throw new Error('the fixture has no container');
  return first;
}

function setNodePort(objects: Objects, nodePort: number): void {
  const [port] = objects.service.spec.ports;
  const env = container(objects).env[1];
  if (port) port.nodePort = nodePort;
  if (env) env.value = String(nodePort);
}

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl';

const mutations: Mutation[] = [
  { code: 'gpu-twice', change: (objects, _, other) => setGpus(objects, [...other.gpuIds]) },
  {
    code: 'gpu-unknown',
    change: (objects, { gpuIds }) =>
      setGpus(
        objects,
        gpuIds.map((_, i) => gpuIdOf(99, i)),
      ),
  },
  { code: 'gpu-count', change: (objects, { gpuIds }) => setGpus(objects, [gpuIds[0] ?? '', ...gpuIds]) },
  { code: 'gpu-count', change: ({ job }) => (job.metadata.annotations['chutes-miner.io/gpu-ids'] = gpuIdOf(0, 9)) },
  {
    code: 'node-port-twice',
    change: (objects, spec, other) =>
      setNodePort(objects, (other.server === spec.server ? other : spec).ports[1]?.nodePort ?? 0),
  },
  ...[30080, 30443, 32000, 32099, 29999, 32768, 80].map((port): Mutation => {
    return { code: 'node-port-range', change: (objects) => setNodePort(objects, port) };
  }),
  { code: 'over-resources', change: (objects) => (container(objects).resources.limits.cpu = '17') },
  { code: 'over-resources', change: (objects) => (container(objects).resources.limits.memory = '321Gi') },
  {
    code: 'over-resources',
    change: (objects) => (container(objects).resources.limits['ephemeral-storage'] = '1001Gi'),
  },
  { code: 'wrong-registry', change: (objects) => (container(objects).image = 'docker.io/user/app:1') },
  {
    code: 'wrong-registry',
    change: (objects) => (container(objects).image = container(objects).image.replace('30500', '5000')),
  },
  {
    code: 'wrong-registry',
    change: (objects) => (container(objects).image = `evil.example/${container(objects).image}`),
  },
  {
    code: 'wrong-registry',
    change: ({ job }) => job.spec.template.spec.initContainers.push({ name: 'x', image: 'busybox' }),
  },
  {
    code: 'wrong-registry',
    change: ({ job }) => (job.metadata.annotations['chutes-miner.io/validator'] = config.hotkey),
  },
  { code: 'kind-not-allowed', change: ({ service }) => (service.kind = 'DaemonSet') },
  { code: 'secret-in-tree', change: ({ service }) => (service.kind = 'Secret') },
  { code: 'token-in-tree', change: (objects) => Object.assign(container(objects).env[0] ?? {}, { value: jwt }) },
  { code: 'token-in-tree', change: ({ service }) => Object.assign(service.metadata.annotations, { [jwt]: 'x' }) },
  {
    code: 'token-in-tree',
    change: (objects) => Object.assign(container(objects).env[3] ?? {}, { value: 'x', valueFrom: undefined }),
  },
  {
    code: 'token-in-tree',
    change: ({ job }) => Object.assign(job.metadata.annotations, { seed: `0x${'1f'.repeat(32)}` }),
  },
  { code: 'id-mismatch', change: ({ job }) => (job.metadata.name = `chute-${uuidOf(77)}`) },
  { code: 'id-mismatch', change: ({ service }) => (service.metadata.name = `chute-svc-${uuidOf(1)}`) },
  { code: 'id-mismatch', change: ({ service }) => (service.spec.selector['chutes/deployment-id'] = uuidOf(77)) },
  { code: 'id-mismatch', change: ({ job }) => (job.spec.template.spec.nodeName = 'gpu-0077') },
  { code: 'id-mismatch', change: ({ job }) => (job.metadata.annotations['chutes-miner.io/server'] = 'gpu-0077') },
  {
    code: 'id-mismatch',
    change: ({ job }) => (job.metadata.labels = { ...job.metadata.labels, 'chutes/chute-id': uuidOf(77) }),
  },
  {
    code: 'id-mismatch',
    change: ({ job }) => (job.metadata.labels = { ...job.metadata.labels, 'chutes/deployment-id': uuidOf(77) }),
  },
  {
    code: 'id-mismatch',
    change: ({ service }) => (service.metadata.labels = { ...service.metadata.labels, 'chutes/version': 'x' }),
  },
  { code: 'id-mismatch', change: (objects) => Object.assign(container(objects).env[1] ?? {}, { value: '30001' }) },
  {
    code: 'id-mismatch',
    change: (objects) =>
      Object.assign(container(objects).env[3] ?? {}, {
        valueFrom: { secretKeyRef: { name: 'miner-credentials', key: 'seed' } },
      }),
  },
  { code: 'unreadable', change: (objects) => Object.assign(container(objects), { resources: {} }) },
];

test('any valid tree passes', () => {
  fc.assert(
    fc.property(fleets, ({ tree, context }) => {
      assert.equal(guardTree(tree, context), []);
    }),
    { numRuns: 15 },
  );
});

test('any single fault in any file of any valid tree is caught under its name', () => {
  // Rendering is the slow part: every mutation is tried on the same random fleets.
  const cases = fc.tuple(fc.constantFrom(...fc.sample(fleets, 12)), fc.nat(), fc.nat());
  for (const [n, { code, change }] of mutations.entries()) {
    fc.assert(
      fc.property(cases, ([{ tree, specs, context }, first, second]) => {
        const spec = specs[first % specs.length];
        const other = specs[(first + 1 + (second % (specs.length - 1))) % specs.length];
        const server = context.servers.get(spec?.server ?? '');
        if (!spec || !other || !server) return;
        const objects = structuredClone(objectsOf(spec, { config, server, chute: makeChute(1) }));
        change(objects, spec, other);
        const path = deploymentPath(spec);
        const form = { aliasDuplicateObjects: false, lineWidth: 0 };
        const text = `${stringify(objects.service, form)}---\n${stringify(objects.job, form)}`;
        const mutated = new Map(tree).set(path, parseManifest(text, path, 'mutated'));
        for (const changed of [undefined, new Set([path])]) {
          const found = guardTree(mutated, { ...context, changed });
          assert.ok(
            found.some((violation) => violation.code === code && violation.paths.includes(path)),
            `mutation ${n} (${code}): found ${JSON.stringify(found)}`,
          );
        }
      }),
      { numRuns: 6 },
    );
  }
});

test('a file under another name, or changed since the last commit, is caught', () => {
  const spec = makeSpec({ id: 1, server: 1, chute: makeChute(1), gpus: [0], nodePort: 31000 });
  const { tree, context } = fleetOf([spec], [makeServer(1)]);
  const path = deploymentPath(spec);
  const text = render(spec, { config, server: makeServer(1), chute: makeChute(1) });
  for (const wrong of [path.replace('gpu-0001', 'gpu-0002'), deploymentPath({ ...spec, deploymentId: uuidOf(2) })]) {
    const renamed = new Map([[wrong, parseManifest(text, wrong, 'x')]]);
    assert.ok(
      guardTree(renamed, context).some(({ code }) => code === 'id-mismatch'),
      wrong,
    );
  }
  const changed = new Map([[path, parseManifest(text, path, 'other')]]);
  const codes = guardTree(changed, { ...context, before: tree }).map(({ code }) => code);
  assert.equal(codes, ['manifest-changed']);
  assert.equal(guardTree(tree, { ...context, before: tree }), []);
});

test('the count is compared with the chute where it is known', () => {
  const spec = makeSpec({ id: 1, server: 1, chute: makeChute(1), gpus: [0], nodePort: 31000 });
  const { tree, context } = fleetOf([spec], [makeServer(1)]);
  assert.equal(
    guardTree(tree, { ...context, gpuCount: () => 2 }).map(({ code }) => code),
    ['gpu-count'],
  );
  assert.equal(guardTree(tree, { ...context, gpuCount: () => undefined }), []);
});

test('an image is pulled through the proxy of the server or from the registry of its validator, and from nowhere else', () => {
  const spec = makeSpec({ id: 1, server: 1, chute: makeChute(1), gpus: [0], nodePort: 31000 });
  const server = makeServer(1);
  const path = deploymentPath(spec);
  const text = render(spec, { config, server, chute: makeChute(1) });
  const { proxy, direct } = chuteRegistries(spec.validator, config);
  for (const [registry, codes] of [
    [proxy, []],
    [direct ?? '', []],
    ['registry.elsewhere.example', ['wrong-registry']],
    [`${direct}.elsewhere.example`, ['wrong-registry']],
  ] as const) {
    const tree = new Map([[path, parseManifest(text.replaceAll(proxy, registry), path, 'x')]]);
    const found = guardTree(tree, { servers: new Map([[server.name, server]]), config });
    assert.equal(
      found.map(({ code }) => code),
      codes,
      registry,
    );
  }
});

test('secrets are found in comments, in escapes and in what cannot be read', () => {
  const spec = makeSpec({ id: 1, server: 1, chute: makeChute(1), gpus: [0], nodePort: 31000 });
  const path = deploymentPath(spec);
  const text = render(spec, { config, server: makeServer(1), chute: makeChute(1) });
  const seed = 'a1'.repeat(32);
  const bad = [
    `# ${jwt}\n${text}`,
    `# ${seed}\n${text}`,
    text.replace('gpu-0001', `"\\u0065${jwt.slice(1)}"`),
    text.replace('gpu-0001', `"\\x61${seed.slice(1)}"`),
    `{[ ${jwt}`,
    `${text}---\nkind: ConfigMap\nmetadata: {name: a, namespace: chutes}\ndata: {a.py: "${jwt}"}\n`,
  ];
  for (const one of bad) {
    const { findings } = parseManifest(one, path, 'x');
    assert.ok(
      findings.some(({ code }) => code === 'token-in-tree'),
      one.slice(0, 100),
    );
  }
});

test('digests, GPU ids and the source of a chute are no secrets', () => {
  const spec = makeSpec({ id: 1, server: 1, chute: makeChute(1), gpus: [0, 1, 2], nodePort: 31000 });
  const path = deploymentPath(spec);
  const text = render(spec, { config, server: makeServer(1), chute: makeChute(1) });
  const pinned = text.replace('cache-cleaner:0.1.0', `cache-cleaner:0.1.0@sha256:${'ab'.repeat(32)}`);
  const source = `${text}---\nkind: ConfigMap\nmetadata: {name: a, namespace: chutes}\ndata: {a.py: "${'ab'.repeat(32)}"}\n`;
  for (const one of [pinned, source]) {
    assert.equal(
      parseManifest(one, path, 'x').findings.filter(({ code }) => code === 'token-in-tree'),
      [],
    );
  }
});

test('five thousand known deployments and one new one are checked in less than 50 ms', () => {
  const servers = Array.from({ length: 1000 }, (_, n) => makeServer(n));
  const context: GuardContext = { servers: new Map(servers.map((server) => [server.name, server])), config };
  const tree = new Map<string, ParsedManifest>();
  for (let i = 0; i < 5000; i++) {
    const gpu = i % 5;
    const spec = makeSpec({
      id: i,
      server: Math.floor(i / 5),
      chute: makeChute(1),
      gpus: [gpu],
      nodePort: 31000 + 2 * gpu,
    });
    const path = deploymentPath(spec);
    const content = { spec, image: '', initImages: [], cpu: 4, memoryGi: 80, diskGi: 10 };
    tree.set(path, { path, oid: String(i), server: spec.server, content, findings: [] });
  }
  const changed = new Set<string>();
  const times = Array.from({ length: 7 }, () => {
    const started = performance.now();
    assert.equal(guardTree(tree, { ...context, changed }), []);
    return performance.now() - started;
  });
  assert.ok(Math.min(...times) < 50, `took ${times.map((ms) => ms.toFixed(1)).join(', ')} ms`);
});

test.run();
