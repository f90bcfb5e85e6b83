// The exporters: Kubernetes objects, machines, GPUs. They are reached by Prometheus of their own namespace only; none has the host's network.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { Access, Account, type Grant } from './access.ts';
import { container, httpProbe, podSpec } from './container.ts';
import { Singleton } from './deployment.ts';
import { labelsOf, monitoringNamespace as namespace } from './names.ts';
import { Policy, pods, tcp, toAnywhere } from './network-policy.ts';
import { scraped } from './program.ts';
import { prometheusLabels } from './prometheus.ts';
import { inWave } from './waves.ts';

const small = { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } };

export interface ExporterProps {
  config: MinerConfig;
}

function onlyFromPrometheus(
  scope: Construct,
  name: string,
  port: number,
  egress: k8s.NetworkPolicyEgressRule[] = [],
): void {
  new Policy(scope, 'policy', {
    name,
    namespace,
    selector: { matchLabels: labelsOf(name) },
    ingress: [{ from: [pods(prometheusLabels)], ports: tcp(port) }],
    egress,
  });
}

function daemonSet(scope: Construct, name: string, annotations: Record<string, string>, spec: k8s.PodSpec): void {
  const labels = labelsOf(name);
  new k8s.KubeDaemonSet(scope, 'daemons', {
    metadata: { name, namespace, labels, annotations: inWave('workload') },
    spec: {
      revisionHistoryLimit: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels, annotations }, spec },
    },
  });
}

const watched = ['list', 'watch'];
/** Kinds whose figures are used; Secrets are not among them (D8). */
export const kubeStateGrants: readonly Grant[] = [
  {
    name: 'kube-state-metrics',
    rules: [
      { group: '', resources: ['nodes', 'pods'], verbs: watched },
      { group: 'batch', resources: ['jobs'], verbs: watched },
    ],
  },
];

export class KubeStateMetrics extends Construct {
  constructor(scope: Construct, id: string, { config }: ExporterProps) {
    super(scope, id);
    const name = 'kube-state-metrics';
    new Account(this, 'account', { name, namespace });
    new Access(this, 'access', { subject: { serviceAccount: name, namespace }, grants: kubeStateGrants });
    new Singleton(this, name, {
      name,
      namespace,
      labels: labelsOf(name),
      user: 65534,
      serviceAccount: name,
      podAnnotations: scraped(8080),
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name,
          image: config.images.kubeStateMetrics,
          args: ['--resources=jobs,nodes,pods', '--port=8080', '--telemetry-port=8081'],
          resources: small,
          ports: { http: 8080, telemetry: 8081 },
          readiness: httpProbe('/readyz', 'telemetry'),
          liveness: httpProbe('/livez', 'http', 30),
        }),
      ],
    });
    onlyFromPrometheus(this, name, 8080, [toAnywhere(443, 6443)]);
  }
}

export class NodeExporter extends Construct {
  constructor(scope: Construct, id: string, { config }: ExporterProps) {
    super(scope, id);
    const name = 'node-exporter';
    const folders = { proc: '/proc', sys: '/sys', root: '/' };
    const exporter = container({
      name,
      image: config.images.nodeExporter,
      args: [
        '--path.procfs=/host/proc',
        '--path.sysfs=/host/sys',
        '--path.rootfs=/host/root',
        '--web.listen-address=:9100',
        // In the pod's network they would tell of the pod; cAdvisor tells of the others.
        '--no-collector.netclass',
        '--no-collector.netdev',
        '--no-collector.netstat',
        '--no-collector.sockstat',
        '--no-collector.arp',
      ],
      resources: small,
      ports: { http: 9100 },
      readiness: httpProbe('/', 'http'),
      liveness: httpProbe('/', 'http', 30),
      mounts: Object.keys(folders).map((folder) => ({
        name: folder,
        mountPath: `/host/${folder}`,
        readOnly: true,
        ...(folder === 'root' && { mountPropagation: 'HostToContainer' }),
      })),
    });
    daemonSet(this, name, scraped(9100), {
      ...podSpec({
        user: 65534,
        imagePullSecrets: config.secrets.imagePull,
        containers: [exporter],
        volumes: Object.entries(folders).map(([folder, path]) => ({ name: folder, hostPath: { path } })),
      }),
      tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }],
    });
    onlyFromPrometheus(this, name, 9100);
  }
}

export class DcgmExporter extends Construct {
  constructor(scope: Construct, id: string, { config }: ExporterProps) {
    super(scope, id);
    const name = 'dcgm-exporter';
    const exporter = container({
      name,
      image: config.images.dcgmExporter,
      env: [
        // All GPUs are shown to it and none is taken from a chute.
        { name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' },
        { name: 'NVIDIA_DRIVER_CAPABILITIES', value: 'utility' },
        { name: 'DCGM_EXPORTER_LISTEN', value: ':9400' },
      ],
      resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '500m', memory: '1Gi' } },
      ports: { http: 9400 },
      readiness: httpProbe('/health', 'http'),
      liveness: httpProbe('/health', 'http', 30),
      mounts: [{ name: 'tmp', mountPath: '/tmp' }],
    });
    daemonSet(this, name, scraped(9400), {
      ...podSpec({
        nodeSelector: { 'nvidia.com/gpu.present': 'true' },
        imagePullSecrets: config.secrets.imagePull,
        containers: [exporter],
        volumes: [{ name: 'tmp', emptyDir: {} }],
      }),
      runtimeClassName: 'nvidia',
    });
    onlyFromPrometheus(this, name, 9400);
  }
}
