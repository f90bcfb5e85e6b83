// R1-R32 of kubernetes.md 8 over everything that is rendered but the chutes, which charts/chute.test.ts and constructs/chute-*.test.ts hold
// to R3-R12, R14-R16, R27 and R32. R17 and R18 are in charts/argocd.test.ts.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderTree } from '../render.ts';
import {
  type Container,
  configWith,
  containersOf,
  hotkey,
  type Manifest,
  objectsOf,
  serverNamed,
  serversNamed,
  the,
  workloadsOf,
} from '../testing/tree.ts';

const onHost = { postgres: { storage: { kind: 'host' } }, redis: { storage: { kind: 'host' } } };
const objects = [...objectsOf(), ...objectsOf(configWith(onHost))];
const workloads = workloadsOf(objects);
const isMiner = ({ image }: Container) => image === configWith().images.miner;

test('R1 the hotkey is a file of the roles that sign, and nowhere else', () => {
  const mounting = workloads.filter(({ pod }) =>
    pod.volumes?.some(({ secret }) => secret?.secretName === 'miner-credentials'),
  );
  assert.equal([...new Set(mounting.map(({ manifest }) => manifest.metadata.name))].sort(), [
    'agent',
    'audit-exporter',
    'controller',
    'registry',
  ]);
  for (const { manifest, pod } of mounting) {
    const signing = containersOf(pod).filter(({ volumeMounts = [] }) =>
      volumeMounts.some(({ name }) => name === 'hotkey'),
    );
    assert.ok(signing.length === 1 && signing.every(isMiner), manifest.metadata.name);
  }
  for (const { pod } of workloads) {
    for (const { env = [] } of containersOf(pod))
      for (const { valueFrom } of env) assert.is.not(valueFrom?.secretKeyRef?.name, 'miner-credentials');
  }
});

test('R2 no Secret is rendered', () => {
  assert.equal(
    objects.filter(({ kind }) => kind === 'Secret'),
    [],
  );
});

test('R13 the same input gives the same bytes, in whatever order it comes', () => {
  const names = ['gpu-02', 'gpu-10', 'gpu-01'];
  const settings = { save: '60 1', maxclients: '500' };
  const backwards = Object.fromEntries(Object.entries(settings).reverse());
  assert.equal(
    [...renderTree(configWith({ redis: { settings } }), serversNamed(...names))],
    [...renderTree(configWith({ redis: { settings: backwards } }), serversNamed(...names.toReversed()))],
  );
});

test('R13 names have no prefix and no hash', () => {
  for (const { kind, metadata } of objects)
    assert.not.match(metadata.name, /-[0-9a-f]{8}$|^chart|test-/, `${kind} ${metadata.name}`);
});

test('R19 namespaces and classes come first, then access, then settings, stores and workloads', () => {
  const wave = ({ metadata }: Manifest) => Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
  const expected: Record<string, number> = {
    Namespace: -3,
    PriorityClass: -3,
    ServiceAccount: -2,
    Role: -2,
    RoleBinding: -2,
    ClusterRole: -2,
    ClusterRoleBinding: -2,
    ConfigMap: -1,
    NetworkPolicy: -1,
    Service: -1,
  };
  for (const object of objects) {
    const wanted = expected[object.kind];
    if (wanted !== undefined) assert.is(wave(object), wanted, `${object.kind} ${object.metadata.name}`);
  }
  for (const { manifest } of workloads) assert.ok(wave(manifest) >= 0, manifest.metadata.name);
});

test('R19 a claim has the wave of its pods, because it may wait for the first of them', () => {
  const wave = (kind: string, name: string) =>
    the(objectsOf(), kind, name, 'control/').metadata.annotations?.['argocd.argoproj.io/sync-wave'];
  assert.is(wave('PersistentVolumeClaim', 'postgres-data'), wave('Deployment', 'postgres'));
  assert.is(wave('PersistentVolumeClaim', 'redis-data'), wave('Deployment', 'redis'));
  assert.is(wave('PersistentVolumeClaim', 'cluster-repository'), wave('Deployment', 'controller'));
});

test('R20 every image has a tag, none is latest, and one with a digest is not asked for again', () => {
  for (const { pod } of workloads)
    for (const { image, imagePullPolicy } of containersOf(pod)) {
      assert.match(image, /:[\w][\w.-]*(@sha256:[0-9a-f]{64})?$/);
      assert.not.match(image, /:latest/);
      assert.is(imagePullPolicy, image.includes('@sha256:') ? 'IfNotPresent' : 'Always');
    }
  const pinned = `docker.io/library/redis:7.4.1@sha256:${'0'.repeat(64)}`;
  const redis = the(objectsOf(configWith({ images: { redis: pinned } })), 'Deployment', 'redis');
  assert.is(redis.spec.template?.spec.containers[0]?.imagePullPolicy, 'IfNotPresent');
});

test('R20 miner.yaml takes no image without a tag, and none with the tag latest', () => {
  for (const image of [
    'docker.io/library/redis',
    'docker.io/library/redis:latest',
    `docker.io/library/redis:latest@sha256:${'0'.repeat(64)}`,
  ])
    assert.throws(() => configWith({ images: { redis: image } }), /must be name:tag/, image);
});

test('R21 every container has requests and limits, and none is nought', () => {
  for (const { manifest, pod } of workloads)
    for (const { name, resources } of containersOf(pod))
      for (const amounts of [resources.requests, resources.limits])
        for (const unit of ['cpu', 'memory']) {
          assert.match(amounts?.[unit] ?? '', /^0*[1-9]/, `${unit} of ${manifest.metadata.name}/${name}`);
        }
});

test('R22 what runs on and on has readiness and liveness; what is there once is replaced, not rolled', () => {
  for (const { manifest, pod } of workloads) {
    if (manifest.kind === 'CronJob') continue;
    for (const { name, readinessProbe, livenessProbe } of pod.containers)
      assert.ok(readinessProbe && livenessProbe, `${manifest.metadata.name}/${name}`);
    if (manifest.kind === 'Deployment') assert.is(manifest.spec.strategy?.type, 'Recreate', manifest.metadata.name);
  }
});

test('R23 pods are restricted, but for those that work on the host', () => {
  for (const { manifest, pod } of workloads) {
    const { name } = manifest.metadata;
    const { seccompProfile, runAsNonRoot } = pod.securityContext;
    assert.equal(seccompProfile, { type: 'RuntimeDefault' }, name);
    if (name !== 'cache-cleaner') assert.is(runAsNonRoot, true, name);
    for (const { securityContext } of containersOf(pod)) {
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = securityContext;
      assert.is(allowPrivilegeEscalation, false, name);
      assert.is(readOnlyRootFilesystem, true, name);
      const add = name === 'cache-cleaner' ? { add: ['DAC_OVERRIDE', 'FOWNER'] } : {};
      assert.equal(capabilities, { drop: ['ALL'], ...add }, name);
    }
  }
});

test('R23 a token is mounted only where the API is called, and never that of the default account', () => {
  const withToken = workloads.filter(({ pod }) => pod.automountServiceAccountToken !== false);
  for (const { pod } of withToken) assert.ok(pod.serviceAccountName);
  assert.equal([...new Set(withToken.map(({ manifest }) => manifest.metadata.name))].sort(), [
    'agent',
    'cache-cleaner',
    'controller',
    'kube-state-metrics',
    'prometheus-server',
    'registry',
  ]);
});

test('R24 the namespace of chutes admits their pods; that of the control plane only restricted ones', () => {
  const level = (path: string, config = configWith()) =>
    the(objectsOf(config), 'Namespace', 'chutes', path).metadata.labels?.['pod-security.kubernetes.io/enforce'];
  assert.is(level('members/'), 'privileged');
  assert.is(level('control/'), 'restricted');
  assert.is(level('control/', configWith(onHost)), 'privileged');
});

test('R25 roles have no wildcard, and Secrets are granted by name but for launch Secrets', () => {
  for (const { kind, metadata, rules = [] } of objects) {
    for (const { apiGroups, resources, verbs, resourceNames } of rules) {
      assert.not.match([...apiGroups, ...resources, ...verbs].join(' '), /\*/);
      if (!resources.includes('secrets')) continue;
      assert.is(kind, 'Role');
      if (metadata.name === 'miner' && metadata.namespace === 'chutes') continue;
      assert.equal([verbs, resourceNames?.length], [['get'], 1], metadata.name);
    }
  }
});

test('R26 each namespace with pods refuses what no policy allows', () => {
  for (const { manifest } of workloads) {
    const { path, metadata } = manifest;
    const place = path
      .split('/')
      .slice(0, path.startsWith('members/') ? 2 : 1)
      .join('/');
    const denied = objects.find(
      (one) =>
        one.kind === 'NetworkPolicy' &&
        one.path.startsWith(`${place}/`) &&
        one.metadata.namespace === metadata.namespace &&
        Object.keys(one.spec.podSelector ?? {}).length === 0,
    );
    assert.equal(denied?.spec.policyTypes, ['Ingress', 'Egress'], `${place}/${metadata.namespace}`);
    assert.equal([denied?.spec.ingress ?? [], denied?.spec.egress ?? []], [[], []]);
  }
});

test('R26 every policy but those of chutes and of a whole namespace selects pods that are there', () => {
  const labels = workloads.map(({ manifest, template }) => ({ manifest, labels: template.metadata.labels }));
  for (const { kind, metadata, spec } of objects) {
    const wanted = Object.entries(spec?.podSelector?.matchLabels ?? {});
    if (kind !== 'NetworkPolicy' || wanted.length === 0 || 'chutes/chute' in (spec.podSelector?.matchLabels ?? {}))
      continue;
    if (metadata.name === 'verification') continue;
    const selected = labels.filter(
      (one) =>
        one.manifest.metadata.namespace === metadata.namespace &&
        wanted.every(([key, value]) => one.labels[key] === value),
    );
    assert.ok(selected.length > 0, metadata.name);
  }
});

test('R27 Services have unique port names and select pods that are there', () => {
  for (const { kind, metadata, spec } of objects) {
    if (kind !== 'Service') continue;
    const names = spec.ports?.map(({ name }) => name) ?? [];
    assert.is(new Set(names).size, names.length);
    const found = workloads.find(
      ({ manifest, template }) =>
        manifest.metadata.namespace === metadata.namespace &&
        Object.entries(spec.selector ?? {}).every(([key, value]) => template.metadata.labels[key] === value),
    );
    assert.ok(found, metadata.name);
    const open = found.pod.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name));
    for (const { targetPort } of spec.ports ?? [])
      assert.ok(open.includes(String(targetPort)), `${metadata.name}: ${targetPort}`);
  }
});

test('R27 names and label values have at most 63 characters', () => {
  for (const { metadata } of objects)
    for (const text of [metadata.name, ...Object.values(metadata.labels ?? {})]) assert.ok(text.length <= 63, text);
});

test('R28 objects of the cluster have no namespace, all others have one', () => {
  const ofCluster = new Set(['Namespace', 'PriorityClass', 'RuntimeClass', 'ClusterRole', 'ClusterRoleBinding']);
  for (const { kind, metadata } of objects)
    assert.is(metadata.namespace === undefined, ofCluster.has(kind), `${kind} ${metadata.name}`);
});

test('R28 no object is rendered twice for a cluster', () => {
  const seen = new Set<string>();
  for (const { path, apiVersion, kind, metadata } of objectsOf(configWith(), serversNamed('gpu-01', 'gpu-02'))) {
    const cluster = path.startsWith('members/') ? path.split('/')[1] : 'control';
    const key = [cluster, apiVersion, kind, metadata.namespace, metadata.name].join(' ');
    assert.not.ok(seen.has(key), key);
    seen.add(key);
  }
});

test('R29 nothing newer than Kubernetes 1.28 is used: no container of the init kind runs on', () => {
  for (const { pod } of workloads)
    for (const one of pod.initContainers ?? []) assert.is((one as { restartPolicy?: string }).restartPolicy, undefined);
});

test('R30 a variable comes after those it is made of', () => {
  for (const { manifest, pod } of workloads)
    for (const { env = [], args = [] } of containersOf(pod)) {
      const known = new Set<string>();
      for (const { name, value = '' } of env) {
        for (const [, used = ''] of value.matchAll(/\$\((\w+)\)/g))
          assert.ok(known.has(used), `${manifest.metadata.name}: ${used}`);
        known.add(name);
      }
      for (const [, used = ''] of args.join(' ').matchAll(/\$\((\w+)\)/g)) assert.ok(known.has(used), used);
    }
});

test('R31 only these folders of the host are mounted', () => {
  const folders = workloads.flatMap(({ manifest, pod }) =>
    (pod.volumes ?? []).flatMap(({ hostPath }) => (hostPath ? [`${manifest.metadata.name} ${hostPath.path}`] : [])),
  );
  assert.equal([...new Set(folders)].sort(), [
    'agent /var/lib/chutes/agent',
    'cache-cleaner /var/snap/cache',
    'node-exporter /',
    'node-exporter /proc',
    'node-exporter /sys',
    'postgres /var/snap/postgres-data',
    'redis /var/snap/redis-data',
  ]);
});

test('R12 a node port of ours can only be moved to one that no chute gets, and two parts of a cluster never share one', () => {
  for (const sections of [
    { agent: { nodePort: 31000 } },
    { registry: { port: 30000 } },
    { monitoring: { member: { nodePort: 32100 } } },
  ])
    assert.throws(() => configWith(sections), /must be a node port that no chute gets: 30080/);
  assert.throws(() => configWith({ registry: { port: 32000 } }), /has node port 32000 already/);
  assert.throws(() => configWith({ monitoring: { grafana: { nodePort: 32000 } } }), /has node port 32000 already/);
  configWith({ controller: { nodePort: 32001 }, agent: { nodePort: 32002 }, registry: { port: 32001 } });
});

test('with registry mode direct no proxy is rendered, for all servers or for one', () => {
  const proxies = (sections: Record<string, unknown>, own: Record<string, unknown> = {}) =>
    [
      ...renderTree(
        configWith(sections),
        new Map([serverNamed('gpu-01'), serverNamed('gpu-02', own)].map((one) => [one.name, one])),
      ).keys(),
    ].filter((path) => path.endsWith('/registry.yaml'));
  const path = (server: string) => `members/${server}/miner-gpu/registry.yaml`;
  assert.equal(proxies({}), [path('gpu-01'), path('gpu-02')]);
  assert.equal(proxies({ registry: { mode: 'direct' } }), []);
  assert.equal(proxies({ registry: { mode: 'direct' } }, { registryMode: 'proxy' }), [path('gpu-02')]);
  assert.equal(proxies({}, { registryMode: 'direct' }), [path('gpu-01')]);
});

test('the password of a store and the address of the miner are in no file', () => {
  const text = [...renderTree(configWith(), serversNamed('gpu-01')).values()].join('');
  assert.not.match(text, /secretSeed|requirepass [^%]/);
  assert.not.ok(text.includes(hotkey));
});

test.run();
