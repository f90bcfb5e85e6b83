// Prometheus: on the control cluster with rules and a volume, on a GPU server small, behind a password and TLS, for the control cluster to
// fetch from. A change of its configuration replaces the pod (D26).

import type { MinerConfig, ServerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { alertRules } from '../monitoring/alerts.ts';
import { controlScrapes, federationFolder, memberScrapes, webFolder } from '../monitoring/scrape.ts';
import { Access, Account, type Grant } from './access.ts';
import { Claim } from './claim.ts';
import { container, httpProbe, tcpProbe } from './container.ts';
import { Singleton, type SingletonProps } from './deployment.ts';
import { configHash } from './hash.ts';
import { chutesNamespace, labelsOf, monitoringNamespace as namespace, systemNamespace } from './names.ts';
import { Policy, pods, tcp, toAnywhere, toDns } from './network-policy.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

const name = 'prometheus-server';
const port = 9090;
const kubeletPort = 10250;
/** User `nobody` of the image. */
const user = 65534;
export const prometheusLabels = labelsOf(name);

/** Finding pods of these namespaces, and reading kubelet's figures. */
export function prometheusGrants(namespaces: readonly string[]): Grant[] {
  const verbs = ['get', 'list', 'watch'];
  return [
    {
      name,
      rules: [
        { group: '', resources: ['nodes'], verbs },
        { group: '', resources: ['nodes/metrics'], verbs: ['get'] },
      ],
    },
    ...namespaces.map(prometheusPods),
  ];
}

/** Finding the pods of one namespace. */
export function prometheusPods(inNamespace: string): Grant {
  return { name, namespace: inNamespace, rules: [{ group: '', resources: ['pods'], verbs: ['get', 'list', 'watch'] }] };
}

export const prometheusAccount = { serviceAccount: name, namespace };

interface Part {
  config: MinerConfig;
  data: Record<string, string>;
  namespaces: readonly string[];
  args: string[];
  /** More than configuration and `data`. */
  volumes: k8s.Volume[];
  dataVolume: k8s.Volume;
  settings: MinerConfig['monitoring']['member'] | MinerConfig['monitoring']['prometheus'];
  placement?: SingletonProps['placement'];
  secure: boolean;
}

function draw(scope: Construct, part: Part): void {
  const { config, data, settings, placement } = part;
  const labels = prometheusLabels;
  new k8s.KubeConfigMap(scope, 'config', {
    metadata: { name: 'prometheus', namespace, annotations: inWave('settings') },
    data,
  });
  new Account(scope, 'account', { name, namespace });
  new Access(scope, 'access', {
    subject: prometheusAccount,
    grants: prometheusGrants(part.namespaces),
  });
  // Behind a password even the probes' paths are.
  const ready = part.secure ? tcpProbe('http') : httpProbe('/-/ready', 'http');
  const alive = part.secure ? tcpProbe('http', 30) : httpProbe('/-/healthy', 'http', 30);
  new Singleton(scope, 'prometheus', {
    name,
    namespace,
    labels,
    user,
    serviceAccount: name,
    podAnnotations: configHash(data),
    ...(placement && { placement }),
    graceSeconds: 300,
    imagePullSecrets: config.secrets.imagePull,
    containers: [
      container({
        name: 'prometheus',
        image: config.images.prometheus,
        args: [
          '--config.file=/etc/prometheus/prometheus.json',
          '--storage.tsdb.path=/data',
          `--storage.tsdb.retention.time=${settings.retention}`,
          ...part.args,
        ],
        resources: settings.resources,
        ports: { http: port },
        // A long write-ahead log takes its time.
        startup: { ...ready, failureThreshold: 90 },
        readiness: ready,
        liveness: alive,
        mounts: [
          { name: 'config', mountPath: '/etc/prometheus', readOnly: true },
          { name: 'data', mountPath: '/data' },
          ...part.volumes.map((volume) => ({
            name: volume.name,
            mountPath: part.secure ? webFolder : federationFolder,
            readOnly: true,
          })),
        ],
      }),
    ],
    volumes: [{ name: 'config', configMap: { name: 'prometheus' } }, part.dataVolume, ...part.volumes],
  });
}

export class ControlPrometheus extends Construct {
  constructor(
    scope: Construct,
    id: string,
    { config, servers }: { config: MinerConfig; servers: readonly ServerConfig[] },
  ) {
    super(scope, id);
    const { prometheus, federation } = config.monitoring;
    new Claim(this, 'claim', { name, namespace, ...prometheus.storage });
    draw(this, {
      config,
      data: {
        'prometheus.json': JSON.stringify(controlScrapes(config, servers), undefined, 1),
        'rules.json': JSON.stringify(alertRules, undefined, 1),
      },
      // Argo CD's own is granted among Argo CD's files.
      namespaces: [chutesNamespace, namespace],
      args: [],
      dataVolume: { name: 'data', persistentVolumeClaim: { claimName: name } },
      volumes: [
        {
          name: 'federation',
          projected: {
            defaultMode: 0o440,
            sources: [
              {
                secret: {
                  name: federation.credentials.name,
                  items: [{ key: federation.credentials.key, path: 'password' }],
                },
              },
              {
                secret: { name: federation.authority.name, items: [{ key: federation.authority.key, path: 'ca.crt' }] },
              },
            ],
          },
        },
      ],
      settings: prometheus,
      placement: prometheus.placement,
      secure: false,
    });
    const labels = prometheusLabels;
    new PartService(this, 'service', { name, namespace, labels, port: { name: 'http', number: 80 } });
    new Policy(this, 'policy', {
      name,
      namespace,
      selector: { matchLabels: labels },
      ingress: [
        { from: [pods(labelsOf('grafana')), pods(labelsOf('audit-exporter'), chutesNamespace)], ports: tcp(port) },
      ],
      // Pods of three namespaces at ports they name, kubelets, GPU servers anywhere.
      egress: [toDns, toAnywhere([443, 65_535])],
    });
  }
}

export class MemberPrometheus extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { member } = config.monitoring;
    draw(this, {
      config,
      data: { 'prometheus.json': JSON.stringify(memberScrapes(config), undefined, 1) },
      namespaces: [chutesNamespace, systemNamespace, namespace],
      args: [`--web.config.file=${webFolder}/web.yml`],
      dataVolume: { name: 'data', emptyDir: { sizeLimit: k8s.Quantity.fromString('4Gi') } },
      volumes: [{ name: 'web', secret: { secretName: member.web, defaultMode: 0o440 } }],
      settings: member,
      secure: true,
    });
    const labels = prometheusLabels;
    new PartService(this, 'service', {
      name,
      namespace,
      labels,
      port: { name: 'http', number: port, nodePort: member.nodePort },
    });
    new Policy(this, 'policy', {
      name,
      namespace,
      selector: { matchLabels: labels },
      // Callers have the password.
      ingress: [{ ports: tcp(port) }],
      egress: [
        toDns,
        toAnywhere(443, 6443, kubeletPort),
        { to: [chutesNamespace, systemNamespace, namespace].map((one) => pods({}, one)) },
      ],
    });
  }
}
