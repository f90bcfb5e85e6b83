// What upstream's monitoring got wrong (D8-D11 and D26 of kubernetes.md 10), and that it can be left out.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kubeStateGrants } from '../constructs/exporters.ts';
import { dashboards } from '../monitoring/dashboards.ts';
import { chuteSeries, serverSeries } from '../monitoring/foreign.ts';
import { webServerName } from '../monitoring/scrape.ts';
import { configWith, type Manifest, objectsOf, serverNamed, serversNamed, the, workloadsOf } from '../testing/tree.ts';

const control = 'control/monitoring/';
const member = 'members/gpu-01/monitoring/';

interface Job {
  job_name: string;
  scheme: string;
  honor_labels: boolean;
  basic_auth: { username: string; password_file: string };
  tls_config: { ca_file: string; server_name: string; insecure_skip_verify?: boolean };
  params: { 'match[]': string[] };
  static_configs: { targets: string[]; labels: Record<string, string> }[];
  metric_relabel_configs: { regex: string }[];
}

function jobsOf(objects: readonly Manifest[], path: string): Job[] {
  const text = the(objects, 'ConfigMap', 'prometheus', path).data?.['prometheus.json'] ?? '';
  return (JSON.parse(text) as { scrape_configs: Job[] }).scrape_configs;
}

function job(objects: readonly Manifest[], path: string, name: string): Job {
  const found = jobsOf(objects, path).find(({ job_name }) => job_name === name);
  if (!found) throw new Error(`no job ${name}`);
  return found;
}

const objects = objectsOf();

test('D8 Grafana has no account, and no part of the monitoring may read a Secret', () => {
  const grafana = the(objects, 'Deployment', 'grafana', control).spec.template?.spec;
  assert.equal([grafana?.automountServiceAccountToken, grafana?.serviceAccountName], [false, undefined]);
  const rules = objects.filter(({ path }) => path.includes('/monitoring/')).flatMap(({ rules = [] }) => rules);
  assert.ok(rules.length > 0);
  for (const { resources } of rules) assert.not.ok(resources.includes('secrets'));
  assert.not.match(JSON.stringify(kubeStateGrants), /secrets|configmaps/);
});

test('D9 Prometheus of a server has the node port that is asked, behind TLS and a password', () => {
  const config = configWith({ monitoring: { member: { nodePort: 32090 } } });
  const servers = new Map([['gpu-01', serverNamed('gpu-01', { agentApi: 'http://203.0.113.7:32000' })]]);
  const moved = objectsOf(config, servers);
  const { spec } = the(moved, 'Service', 'prometheus-server', member);
  assert.equal([spec.type, spec.ports?.[0]?.nodePort], ['NodePort', 32090]);
  const federate = job(moved, control, 'federate');
  assert.equal(federate.static_configs, [{ targets: ['203.0.113.7:32090'], labels: { cluster: 'gpu-01' } }]);
  assert.equal([federate.scheme, federate.tls_config.server_name], ['https', webServerName]);
  assert.is(federate.tls_config.insecure_skip_verify, undefined);
  const [server] = workloadsOf([the(moved, 'Deployment', 'prometheus-server', member)]);
  const container = server?.pod.containers[0];
  const file = container?.args?.find((one) => one.startsWith('--web.config.file='))?.split('=')[1] ?? '';
  const mount = container?.volumeMounts?.find(({ mountPath }) => file.startsWith(`${mountPath}/`));
  assert.is(server?.pod.volumes?.find(({ name }) => name === mount?.name)?.secret?.secretName, 'prometheus-web');
});

test('D9 Prometheus of the control cluster has no node port', () => {
  assert.is(the(objects, 'Service', 'prometheus-server', control).spec.type, 'ClusterIP');
});

test('D10 series are fetched by their names, whatever job they come from', () => {
  const { params } = job(objects, control, 'federate');
  assert.is(params['match[]'].length, 1);
  for (const name of [...chuteSeries, ...serverSeries]) assert.ok(params['match[]'][0]?.includes(name), name);
  assert.not.match(params['match[]'].join(), /job=/);
  const more = objectsOf(configWith({ monitoring: { federation: { match: ['{job="own"}'] } } }));
  assert.is(job(more, control, 'federate').params['match[]'][1], '{job="own"}');
});

test('D11 the data source of Grafana is a Service that exists, at a port that it has', () => {
  const data = the(objects, 'ConfigMap', 'grafana-provisioning').data?.['datasource.yaml'] ?? '';
  const [source] = (JSON.parse(data) as { datasources: { url: string; uid: string }[] }).datasources;
  const { hostname, port } = new URL(source?.url ?? '');
  const service = the(objects, 'Service', hostname, control);
  assert.is(service.spec.ports?.[0]?.port, Number(port || 80));
  for (const { panels } of dashboards) for (const { datasource } of panels) assert.is(datasource.uid, source?.uid);
});

test('D26 a new server, rule or dashboard replaces the pod that reads it', () => {
  const hash = (all: readonly Manifest[], name: string, path: string) =>
    the(all, 'Deployment', name, path).spec.template?.metadata.annotations?.['chutes-miner.io/config-hash'];
  const two = objectsOf(configWith(), serversNamed('gpu-01', 'gpu-02'));
  assert.ok(hash(objects, 'prometheus-server', control));
  assert.is.not(hash(two, 'prometheus-server', control), hash(objects, 'prometheus-server', control));
  assert.is(hash(two, 'prometheus-server', member), hash(objects, 'prometheus-server', member));
  assert.ok(hash(objects, 'grafana', control));
});

test('a server speaks for itself only: its name is ours, not what it says', () => {
  const { honor_labels, metric_relabel_configs } = job(objects, control, 'federate');
  assert.is(honor_labels, false);
  assert.match(metric_relabel_configs.at(-1)?.regex ?? '', 'cluster');
});

test('a chute speaks of invocations only', () => {
  const { metric_relabel_configs } = job(objects, member, 'chutes');
  assert.is(metric_relabel_configs[0]?.regex, chuteSeries.join('|'));
});

test('GPU figures are told on nodes with GPUs only, and not on the control cluster', () => {
  const found = workloadsOf(objects).filter(({ manifest }) => manifest.metadata.name === 'dcgm-exporter');
  assert.equal(
    found.map(({ manifest, pod }) => [manifest.path.startsWith('members/'), pod.nodeSelector]),
    [[true, { 'nvidia.com/gpu.present': 'true' }]],
  );
});

test('monitoring, or Grafana alone, can be left out', () => {
  const off = objectsOf(configWith({ monitoring: { enabled: false } }));
  assert.equal(
    off.filter(({ path }) => path.includes('/monitoring/')),
    [],
  );
  const dry = objectsOf(configWith({ monitoring: { grafana: { enabled: false } } }));
  assert.not.ok(dry.some(({ metadata }) => metadata.name.startsWith('grafana')));
  assert.ok(dry.some(({ metadata }) => metadata.name === 'prometheus-server'));
});

test.run();
