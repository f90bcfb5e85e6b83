// What each Prometheus asks, as its configuration. Credentials are files; what a server says is taken for that server's word and no other's.

import type { MinerConfig, ServerConfig } from '@miner/controller/domain/config.ts';
import { chutesNamespace, monitoringNamespace, systemNamespace } from '../constructs/names.ts';
import { chuteSeries, ownSeriesOfServers, serverSeries } from './foreign.ts';

/** Where Secrets are mounted. */
export const federationFolder = '/run/secrets/federation';
export const webFolder = '/run/secrets/web';
/** DNS name in every server's certificate: servers have addresses, but no names of their own. */
export const webServerName = 'prometheus.chutes-miner';
export const federationUser = 'federation';

const annotation = (name: string) => `__meta_kubernetes_pod_annotation_prometheus_io_${name}`;

/** Pods that ask for it by annotation, at the port and path that they name. */
const annotated = [
  { source_labels: [annotation('scrape')], action: 'keep', regex: 'true' },
  { source_labels: ['__meta_kubernetes_pod_phase'], action: 'drop', regex: 'Succeeded|Failed|Pending' },
  { source_labels: [annotation('path')], action: 'replace', target_label: '__metrics_path__', regex: '(.+)' },
  {
    source_labels: ['__meta_kubernetes_pod_ip', annotation('port')],
    action: 'replace',
    target_label: '__address__',
    regex: '(.+);(\\d+)',
    replacement: '$1:$2',
  },
  { source_labels: ['__meta_kubernetes_pod_container_init'], action: 'drop', regex: 'true' },
  { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
  { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
  { source_labels: ['__meta_kubernetes_pod_node_name'], target_label: 'node' },
];

function podsOf(job: string, namespaces: readonly string[], relabel: readonly object[] = annotated) {
  return {
    job_name: job,
    kubernetes_sd_configs: [{ role: 'pod', namespaces: { names: namespaces } }],
    relabel_configs: relabel,
  };
}

/** Exporters, which speak of other pods and nodes: what they name goes before where they run themselves. */
function partsOf(...namespaces: string[]) {
  return { ...podsOf('parts', namespaces), honor_labels: true };
}

/** Node and its containers, from kubelet itself: the way through the API server would need more rights. */
function kubelet(job: string, path: string) {
  return {
    job_name: job,
    scheme: 'https',
    metrics_path: path,
    authorization: { credentials_file: '/var/run/secrets/kubernetes.io/serviceaccount/token' },
    tls_config: { ca_file: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' },
    kubernetes_sd_configs: [{ role: 'node' }],
    relabel_configs: [{ source_labels: ['__meta_kubernetes_node_name'], target_label: 'node' }],
    metric_relabel_configs: [{ source_labels: ['__name__'], action: 'keep', regex: serverSeries.join('|') }],
  };
}

const kubelets = [kubelet('kubelet', '/metrics'), kubelet('cadvisor', '/metrics/cadvisor')];

/** Prometheus of a GPU server. */
export function memberScrapes({ monitoring }: MinerConfig): object {
  return {
    global: { scrape_interval: monitoring.scrapeInterval, evaluation_interval: monitoring.scrapeInterval },
    scrape_configs: [
      {
        ...podsOf(
          'chutes',
          [chutesNamespace],
          [
            ...annotated,
            // The audit report goes by chutes_deployment_id.
            { action: 'labelmap', regex: '__meta_kubernetes_pod_label_(.+)' },
          ],
        ),
        // Others' code: it speaks of invocations and of nothing else.
        sample_limit: 5000,
        metric_relabel_configs: [{ source_labels: ['__name__'], action: 'keep', regex: chuteSeries.join('|') }],
      },
      partsOf(systemNamespace, monitoringNamespace),
      ...kubelets,
    ],
  };
}

/** Address of a server's Prometheus: the host of its agent, at the node port. */
function addressOf({ agentApi }: ServerConfig, port: number): string {
  return `${new URL(agentApi).hostname}:${port}`;
}

/** Prometheus of the control cluster. */
export function controlScrapes({ monitoring, argocd }: MinerConfig, servers: readonly ServerConfig[]): object {
  const { federation, member } = monitoring;
  const names = [...chuteSeries, ...serverSeries, ...ownSeriesOfServers].join('|');
  return {
    global: { scrape_interval: monitoring.scrapeInterval, evaluation_interval: monitoring.scrapeInterval },
    rule_files: ['/etc/prometheus/rules.json'],
    scrape_configs: [
      podsOf('miner', [chutesNamespace]),
      partsOf(monitoringNamespace),
      podsOf(
        'argocd',
        [argocd.namespace],
        [
          // By number: Argo CD's own manifests give it no name.
          { source_labels: ['__meta_kubernetes_pod_container_port_number'], action: 'keep', regex: '8082' },
          {
            source_labels: ['__meta_kubernetes_pod_label_app_kubernetes_io_name'],
            action: 'keep',
            regex: 'argocd-application-controller',
          },
        ],
      ),
      ...kubelets,
      {
        job_name: 'federate',
        scheme: 'https',
        metrics_path: '/federate',
        scrape_interval: federation.scrapeInterval,
        // Not honoured: a server could name itself another. Only `job` and its like are put back below.
        honor_labels: false,
        basic_auth: { username: federationUser, password_file: `${federationFolder}/password` },
        tls_config: { ca_file: `${federationFolder}/ca.crt`, server_name: webServerName },
        params: { 'match[]': [`{__name__=~"${names}"}`, ...federation.match] },
        static_configs: servers.map((server) => ({
          targets: [addressOf(server, member.nodePort)],
          labels: { cluster: server.name },
        })),
        metric_relabel_configs: [
          { source_labels: ['exported_job'], regex: '(.+)', target_label: 'job' },
          { source_labels: ['exported_instance'], regex: '(.+)', target_label: 'instance' },
          { action: 'labeldrop', regex: 'exported_(job|instance|cluster)' },
        ],
      },
    ],
  };
}
