// Two real Prometheus (Debian's) with the rendered configurations, one of a GPU server and one of the control cluster, which fetches from
// it with TLS and password. Exporters are played in their own words; only how pods are found is replaced, because Debian's build cannot.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startProcess } from '@miner/controller/registry/testing/processes.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configWith, serverNamed } from '../testing/tree.ts';
import { alerts } from './alerts.ts';
import { dashboards } from './dashboards.ts';
import { controlScrapes, federationFolder, federationUser, memberScrapes, webServerName } from './scrape.ts';

const folder = mkdtempSync(join(tmpdir(), 'federation-'));
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
test.after(async () => {
  for (const end of ends.reverse()) await end();
});

/** A pod as discovery tells of it. */
interface Played {
  namespace: string;
  pod: string;
  path: string;
  text: string;
  meta?: Record<string, string>;
}

async function serve(path: string, text: string): Promise<number> {
  const server = createServer((asked, answer) => {
    answer.statusCode = asked.url === path ? 200 : 404;
    answer.setHeader('content-type', 'text/plain; version=0.0.4');
    answer.end(answer.statusCode === 200 ? text : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Job {
  job_name: string;
  metrics_path?: string;
  kubernetes_sd_configs?: unknown;
}

/** What kubelets are asked for goes without their certificate here; everything else stays as it is rendered. */
async function targetsOf(job: Job, { namespace, pod, path, text, meta }: Played): Promise<object> {
  const port = await serve(path, text);
  return {
    targets: [`127.0.0.1:${port}`],
    labels: {
      __meta_kubernetes_namespace: namespace,
      __meta_kubernetes_pod_name: pod,
      __meta_kubernetes_pod_node_name: 'gpu-01',
      __meta_kubernetes_node_name: 'gpu-01',
      __meta_kubernetes_pod_ip: '127.0.0.1',
      __meta_kubernetes_pod_annotation_prometheus_io_scrape: String(job.job_name !== 'argocd'),
      __meta_kubernetes_pod_annotation_prometheus_io_port: String(port),
      __meta_kubernetes_pod_annotation_prometheus_io_path: path,
      ...meta,
    },
  };
}

async function played(config: object, pods: Readonly<Record<string, readonly Played[]>>): Promise<object> {
  const { scrape_configs } = config as { scrape_configs: Job[] };
  const jobs: object[] = [];
  for (const job of scrape_configs) {
    if (job.kubernetes_sd_configs === undefined) {
      jobs.push(job);
      continue;
    }
    const { kubernetes_sd_configs, ...rest } = job;
    const plain = { ...rest, scheme: 'http', authorization: undefined, tls_config: undefined };
    const static_configs = await Promise.all((pods[job.job_name] ?? []).map((one) => targetsOf(job, one)));
    jobs.push({ ...plain, static_configs });
  }
  return { ...config, scrape_configs: jobs };
}

async function prometheus(name: string, config: object, port: number, ...args: string[]): Promise<void> {
  const dir = join(folder, name);
  mkdirSync(dir);
  const text = JSON.stringify(config).replaceAll(federationFolder, join(folder, 'federation'));
  writeFileSync(join(dir, 'prometheus.json'), text.replace('/etc/prometheus', dir));
  writeFileSync(join(dir, 'rules.json'), '{"groups": []}');
  const flags = [`--config.file=${dir}/prometheus.json`, `--storage.tsdb.path=${dir}/data`, ...args];
  const listening = [`--web.listen-address=127.0.0.1:${port}`];
  const running = await startProcess('prometheus', [...flags, ...listening], (line) =>
    line.includes('Server is ready') ? true : undefined,
  );
  ends.push(running.stop);
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

const password = 'p4ss';
const kubeState = (lines: string) => ({
  namespace: 'monitoring',
  pod: 'kube-state-metrics-0',
  path: '/metrics',
  text: lines,
});

const onServer: Record<string, Played[]> = {
  chutes: [
    {
      namespace: 'chutes',
      pod: 'chute-1',
      path: '/_metrics',
      meta: { __meta_kubernetes_pod_label_chutes_deployment_id: 'd-1' },
      text: `# TYPE invocation_total counter
invocation_total{chute_id="c-1",function="f",status="200"} 7
# TYPE invocation_duration histogram
invocation_duration_sum{chute_id="c-1",function="f",status="200"} 21.5
miner_validator_up{validator="forged"} 1
`,
    },
  ],
  parts: [
    kubeState(`kube_pod_status_phase{namespace="chutes",pod="chute-1",uid="u",phase="Running"} 1
kube_pod_status_phase{namespace="chutes",pod="chute-1",uid="u",phase="Failed"} 0
kube_node_status_condition{node="gpu-01",condition="Ready",status="true"} 0
kube_pod_container_status_restarts_total{namespace="chutes-system",pod="agent-1",uid="u",container="agent"} 9
`),
    {
      namespace: 'monitoring',
      pod: 'node-exporter-0',
      path: '/metrics',
      text: `node_cpu_seconds_total{cpu="0",mode="idle"} 90
node_memory_MemAvailable_bytes 50
node_memory_MemTotal_bytes 100
node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 5
node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 100
`,
    },
    {
      namespace: 'monitoring',
      pod: 'dcgm-exporter-0',
      path: '/metrics',
      text: ['FB_FREE', 'FB_USED', 'GPU_TEMP', 'GPU_UTIL', 'POWER_USAGE', 'XID_ERRORS']
        .map((name) => `DCGM_FI_DEV_${name}{gpu="0",UUID="GPU-1",device="nvidia0",Hostname="h",cluster="gpu-99"} 40\n`)
        .join(''),
    },
    {
      namespace: 'chutes-system',
      pod: 'registry-0',
      path: '/metrics',
      text: 'miner_registry_auth_total{result="signed"} 3\nminer_registry_repositories 2\nminer_registry_list_age_seconds 1\n',
    },
  ],
  cadvisor: [
    {
      namespace: '',
      pod: '',
      path: '/metrics/cadvisor',
      text: `container_memory_working_set_bytes{container="",id="/",image="",name="",namespace="",pod=""} 900
container_memory_working_set_bytes{container="",id="/p",image="",name="",namespace="chutes",pod="chute-1"} 110
container_memory_working_set_bytes{container="chute",id="/p/c",image="i",name="n",namespace="chutes",pod="chute-1"} 100
container_network_receive_bytes_total{container="",id="/p",image="i",interface="eth0",name="n",namespace="chutes",pod="chute-1"} 5
`,
    },
  ],
};

const onControl: Record<string, Played[]> = {
  parts: [
    kubeState(`kube_pod_status_phase{namespace="chutes",pod="controller-0",uid="u",phase="Running"} 1
kube_job_status_failed{namespace="chutes",job_name="audit-exporter-1"} 1
`),
  ],
  argocd: [
    {
      namespace: 'argocd',
      pod: 'argocd-application-controller-0',
      path: '/metrics',
      // Its port has no name in Argo CD's own manifests.
      meta: {
        __meta_kubernetes_pod_container_port_number: '8082',
        __meta_kubernetes_pod_label_app_kubernetes_io_name: 'argocd-application-controller',
      },
      text: 'argocd_app_info{name="chutes-gpu-01",namespace="argocd",project="p",sync_status="OutOfSync",health_status="Degraded"} 1\n',
    },
  ],
};

const [memberPort, controlPort] = [await freePort(), await freePort()];

test.before(async () => {
  const subject = ['-subj', '/CN=authority', '-days', '2'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, ...subject, '-keyout', 'ca.key', '-out', 'ca.crt');
  openssl('req', ...key, '-subj', '/CN=server', '-keyout', 'tls.key', '-out', 'tls.csr');
  writeFileSync(join(folder, 'san'), `subjectAltName=DNS:${webServerName}\n`);
  const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'tls.csr', ...signing, '-out', 'tls.crt');
  const hash = execFileSync('perl', ['-e', `print crypt("${password}", '$2b$04$abcdefghijklmnopqrstuu')`]);
  const web = {
    tls_server_config: { cert_file: join(folder, 'tls.crt'), key_file: join(folder, 'tls.key') },
    basic_auth_users: { [federationUser]: hash.toString() },
  };
  writeFileSync(join(folder, 'web.yml'), JSON.stringify(web));
  mkdirSync(join(folder, 'federation'));
  writeFileSync(join(folder, 'federation/password'), password);
  execFileSync('cp', ['ca.crt', 'federation/ca.crt'], { cwd: folder });

  const config = configWith({ monitoring: { scrapeInterval: '1s', federation: { scrapeInterval: '1s' } } });
  const webConfig = `--web.config.file=${join(folder, 'web.yml')}`;
  await prometheus('member', await played(memberScrapes(config), onServer), memberPort, webConfig);
  const server = serverNamed('gpu-01', { agentApi: 'http://127.0.0.1:32000' });
  const scrapes = await played(controlScrapes(config, [server]), onControl);
  const rendered = JSON.stringify(scrapes).replace('127.0.0.1:30090', `127.0.0.1:${memberPort}`);
  await prometheus('control', JSON.parse(rendered), controlPort);
});

interface Sample {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

async function ask(expr: string): Promise<Sample[]> {
  const answer = await fetch(`http://127.0.0.1:${controlPort}/api/v1/query?query=${encodeURIComponent(expr)}`);
  const { data, error } = (await answer.json()) as { data?: { result: Sample[] }; error?: string };
  if (!data) throw new Error(`${expr}: ${error}`);
  return data.result;
}

/** Asks until something is there; after half a minute there is nothing. */
async function query(expr: string): Promise<Sample[]> {
  for (const deadline = Date.now() + 30_000; ; await sleep(200)) {
    const found = await ask(expr);
    if (found.length > 0 || Date.now() > deadline) return found;
  }
}

async function valuesOf(expr: string, label: string): Promise<[string | undefined, number][]> {
  return (await query(expr)).map(({ metric, value }) => [metric[label], Number(value[1])]);
}

test('the server gives nothing without its password', async () => {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const options = { host: '127.0.0.1', port: memberPort, path: '/federate', rejectUnauthorized: false };
  request(options, ({ statusCode }) => resolve(statusCode))
    .on('error', reject)
    .end();
  assert.is(await promise, 401);
});

test('the control cluster reaches it, and names it itself', async () => {
  assert.equal(await valuesOf('up{job="federate"}', 'cluster'), [['gpu-01', 1]]);
  assert.equal(await valuesOf('DCGM_FI_DEV_GPU_UTIL', 'cluster'), [['gpu-01', 40]]);
});

test('invocations carry the deployment that the audit report goes by, and a chute tells nothing else', async () => {
  const audit = 'sum by (chutes_deployment_id, chute_id, function) (invocation_duration_sum{status="200"})';
  const [found] = await query(audit);
  assert.equal(found?.metric, { chute_id: 'c-1', chutes_deployment_id: 'd-1', function: 'f' });
  assert.equal(await ask('miner_validator_up'), []);
});

const ours = /miner_(?!registry)/;

for (const { title, panels } of dashboards)
  for (const panel of panels)
    for (const { expr } of panel.targets)
      if (!ours.test(expr))
        test(`${title}, ${panel.title}: there is something to show`, async () => {
          assert.ok((await query(expr)).length > 0, expr);
        });

function exprOf(dashboard: string, panel: string): string {
  const found = dashboards.find(({ title }) => title === dashboard)?.panels.find(({ title }) => title === panel);
  return found?.targets[0]?.expr ?? 'nothing';
}

test('figures of chutes count each chute once, and nothing of the control plane', async () => {
  assert.equal(await valuesOf(exprOf('Deployments and cold starts', 'Memory of chutes'), 'cluster'), [['gpu-01', 100]]);
  const phases = await valuesOf(exprOf('Deployments and cold starts', 'Pods of chutes'), 'phase');
  assert.equal(Object.fromEntries(phases), { Running: 1, Failed: 0 });
});

test('alerts about pods, nodes and jobs see those, not the exporter that tells of them', async () => {
  const seen = async (name: string, label: string) =>
    (await valuesOf(alerts.find((one) => one.name === name)?.expr ?? 'nothing', label)).map(([value]) => value);
  assert.equal(await seen('AuditReportFailed', 'job_name'), ['audit-exporter-1']);
  assert.equal(await seen('NodeNotReady', 'node'), ['gpu-01']);
  assert.equal(await seen('ArgoNotSynced', 'name'), ['chutes-gpu-01']);
  const restarts = 'kube_pod_container_status_restarts_total{namespace="chutes-system"}';
  assert.equal(await valuesOf(restarts, 'pod'), [['agent-1', 9]]);
});

test.run();
