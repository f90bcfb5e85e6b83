// D1-D26 of kubernetes.md 10: what upstream's charts got wrong, each held against ours. Chutes: constructs/chute-service.test.ts (D13),
// chute-code.test.ts (D22). Monitoring: charts/monitoring.test.ts (D8-D11, D26). Argo CD: charts/argocd.test.ts (D23). The program itself
// has D14-D18: cachecleaner/clean.test.ts, kubernetes/bootstrap.slow.test.ts, members.slow.test.ts, health.test.ts, domain/domain.test.ts.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  configWith,
  containersOf,
  type Manifest,
  objectsOf,
  type PolicyRule,
  the,
  workloadsOf,
} from '../testing/tree.ts';

const objects = objectsOf();
const member = 'members/gpu-01/';
const policy = (name: string, path = member): Manifest => the(objects, 'NetworkPolicy', name, path);
const portsOf = (rules: readonly PolicyRule[] = []) => rules.flatMap(({ ports = [] }) => ports.map(({ port }) => port));
const privateNetworks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'];

test('D1 the policy of the verification selects its pods, and lets them fetch a URL', () => {
  const { spec } = policy('verification');
  assert.equal(spec.podSelector?.matchLabels, { 'node-bootstrap': 'true' });
  assert.equal(portsOf(spec.ingress), [8000]);
  assert.equal(portsOf(spec.egress), [53, 53, 80, 443]);
});

test('D2 jobs have a policy on every server, and none where no chute runs', () => {
  const { spec } = policy('chutes-jobs');
  assert.equal(spec.podSelector?.matchLabels, { 'chutes/chute': 'true', 'chutes/job': 'true' });
  const misplaced = objects.filter(
    ({ path, kind, spec }) =>
      path.startsWith('control/') &&
      kind === 'NetworkPolicy' &&
      'chutes/chute' in (spec.podSelector?.matchLabels ?? {}),
  );
  assert.equal(misplaced, []);
});

test('D3 chutes reach public addresses only, so never the API server, and no policy goes by a label that no namespace has', () => {
  for (const name of ['chutes', 'chutes-jobs', 'verification']) {
    for (const { to, ports } of policy(name).spec.egress ?? []) {
      const toDns = ports?.every(({ port }) => port === 53);
      if (!toDns) assert.equal(to, [{ ipBlock: { cidr: '0.0.0.0/0', except: privateNetworks } }]);
    }
  }
  for (const { spec } of objects.filter(({ kind }) => kind === 'NetworkPolicy'))
    for (const { from = [], to = [] } of [...(spec.ingress ?? []), ...(spec.egress ?? [])] as PolicyRule[])
      for (const { namespaceSelector } of [...from, ...to])
        if (namespaceSelector)
          assert.equal(Object.keys(namespaceSelector.matchLabels ?? {}), ['kubernetes.io/metadata.name']);
});

test('D4 attestation of TEE chutes can be reached', () => {
  assert.equal(portsOf(policy('chutes').spec.ingress), [8000, 8001, 8002]);
});

test('D5 of the control plane only the controller may call its API, to list Applications and to annotate its own by name, and no long-lived token is made', () => {
  const ours = objects.filter(({ path }) => path.startsWith('control/miner/'));
  assert.not.ok(ours.some(({ kind }) => kind.includes('Role')));
  const rules = the(objects, 'Role', 'miner-controller').rules ?? [];
  assert.equal(
    rules.map(({ resources, verbs, resourceNames }) => [resources, verbs, resourceNames]),
    [
      [['applications'], ['get', 'patch'], ['argocd', 'control', 'members-gpu-01', 'chutes-gpu-01']],
      [['applications'], ['list'], undefined],
    ],
  );
  for (const { kind, path } of ours) assert.not.match(kind, /ClusterRole|Secret/, path);
});

test('D6 the audit report asks Prometheus, not the cluster', () => {
  const job = the(objects, 'CronJob', 'audit-exporter');
  const pod = workloadsOf([job])[0]?.pod;
  assert.is(pod?.automountServiceAccountToken, false);
  assert.ok(pod?.containers[0]?.args?.includes('--prometheus=http://prometheus-server.monitoring.svc.cluster.local'));
});

test('D7 there is one registry Service however many validators there are, and each has its upstream', () => {
  const [first] = configWith().validators;
  const second = {
    ...first,
    hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
    registry: 'registry.example:5001',
  };
  const two = objectsOf(configWith({ validators: [first, second] }));
  const services = two.filter(
    ({ kind, spec }) => kind === 'Service' && spec.ports?.some(({ nodePort }) => nodePort === 30500),
  );
  assert.is(services.length, 1);
  const conf = the(two, 'ConfigMap', 'registry-nginx-config').data?.['nginx.conf'] ?? '';
  assert.ok(conf.includes(`${first?.hotkey.toLowerCase()} ${first?.registry};`));
  assert.match(conf, /5grwvaef5zxb26fz9rcqpdws57cterhpnehxcpcnohgkutqy registry\.example:5001;/);
  assert.ok(portsOf(the(two, 'NetworkPolicy', 'registry').spec.egress).includes(5001));
});

test('D8 no account but the controller and the agent may read a Secret', () => {
  const reading = objects.filter(({ rules = [] }) => rules.some(({ resources }) => resources.includes('secrets')));
  assert.equal(reading.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort(), [
    'chutes/miner',
    'default/agent-kubeconfig',
  ]);
});

test('D12 what tells about pods has no node port', () => {
  const open = objects.filter(({ kind, spec }) => kind === 'Service' && spec.type === 'NodePort');
  const ours = open.filter(({ path }) => path.includes('/miner'));
  assert.equal(ours.map(({ path, metadata }) => `${path.split('/')[0]} ${metadata.name}`).sort(), [
    'control api',
    'members agent',
    'members registry',
  ]);
});

test('D19 no host name is fixed, and every node port can be changed', () => {
  for (const { pod } of workloadsOf(objects))
    assert.not.match(
      JSON.stringify(pod),
      /"kubernetes\.io\/hostname":|"key":"kubernetes\.io\/hostname"|chutes-miner-cpu/,
    );
  const moved = objectsOf(
    configWith({ controller: { nodePort: 32011 }, agent: { nodePort: 32012 }, registry: { port: 32013 } }),
  );
  for (const [name, port] of [
    ['api', 32011],
    ['agent', 32012],
    ['registry', 32013],
  ] as const)
    assert.is(the(moved, 'Service', name).spec.ports?.[0]?.nodePort, port);
  const placed = { nodeSelector: { 'kubernetes.io/hostname': 'cpu-7' } };
  const postgres = the(objectsOf(configWith({ postgres: { placement: placed } })), 'Deployment', 'postgres');
  assert.equal(postgres.spec.template?.spec.nodeSelector, placed.nodeSelector);
});

test('D20 a drain is never blocked', () => {
  for (const { kind, spec } of objects) if (kind === 'PodDisruptionBudget') assert.is(spec.maxUnavailable, 1);
});

test('D21 two pods of one part never run at a time', () => {
  for (const { manifest } of workloadsOf(objects)) {
    if (manifest.kind !== 'Deployment') continue;
    assert.equal([manifest.spec.replicas, manifest.spec.strategy?.type], [1, 'Recreate'], manifest.metadata.name);
  }
});

test('D24 where Secrets can be listed, the hotkey is not', () => {
  const listing = objects.filter(({ rules = [] }) =>
    rules.some(({ resources, verbs }) => resources.includes('secrets') && verbs.includes('list')),
  );
  const namespaces = new Set(listing.map(({ path, metadata }) => `${path.split('/')[1]} ${metadata.namespace}`));
  assert.equal([...namespaces], ['gpu-01 chutes']);
  for (const { manifest, pod } of workloadsOf(objects)) {
    if (!manifest.path.startsWith(member) || manifest.metadata.namespace !== 'chutes') continue;
    for (const { secret } of pod.volumes ?? []) assert.is(secret, undefined);
  }
});

test('D25 no part of the control plane is without probes and limits', () => {
  for (const name of ['controller', 'gepetto', 'postgres', 'redis']) {
    const [workload] = workloadsOf([the(objects, 'Deployment', name)]);
    for (const { startupProbe, readinessProbe, livenessProbe, resources } of workload ? containersOf(workload.pod) : [])
      assert.ok(startupProbe && readinessProbe && livenessProbe && resources.limits, name);
  }
});

test.run();
