// The registry proxy of a GPU server: nginx, which kubelet's pulls arrive at, and registry auth beside it, which signs them.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { registryProxyConfig } from '../registry/proxy.ts';
import { Access, Account, type Grant } from './access.ts';
import { container, httpProbe, podSpec, tcpProbe } from './container.ts';
import { configHash } from './hash.ts';
import {
  chutesNamespace,
  labelsOf,
  monitoringNamespace,
  systemNamespace as namespace,
  namespaceSelector,
} from './names.ts';
import { Policy, tcp, toAnywhere, toDns } from './network-policy.ts';
import { criticalPriority } from './priority.ts';
import { hotkeyFile, scraped } from './program.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

const proxyPort = 5000;
const authPort = 8000;
const statusPort = 8001;
const writable = '/var/cache/nginx';

/** It follows the chute pods of its node: only their images are signed for. */
export const registryGrants: readonly Grant[] = [
  {
    name: 'registry',
    namespace: chutesNamespace,
    rules: [{ group: '', resources: ['pods'], verbs: ['list', 'watch'] }],
  },
];

function nginxConf({ validators, registry }: MinerConfig): string {
  const { resolvers, podNetworks, keepConnections, workerProcesses, workerConnections, keepaliveSeconds } = registry;
  return registryProxyConfig({
    validators,
    listenPort: proxyPort,
    authPort,
    runDir: writable,
    allowFrom: podNetworks,
    resolvers,
    upstream: keepConnections ? 'kept' : 'single',
    workerProcesses,
    workerConnections,
    keepaliveSeconds,
  });
}

/** Ports of the validators' registries. */
function registryPorts({ validators }: MinerConfig): number[] {
  const named = validators.map(({ registry }) => Number(registry.split(':')[1] ?? 443));
  return [...new Set([443, 6443, ...named])].sort((a, b) => a - b);
}

export class RegistryProxy extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const labels = labelsOf('chutes-registry');
    const { registry, images, validators, secrets } = config;
    const hotkey = hotkeyFile(config);
    const data = { 'nginx.conf': nginxConf(config) };
    new k8s.KubeConfigMap(this, 'config', {
      metadata: { name: 'registry-nginx-config', namespace, annotations: inWave('settings') },
      data,
    });
    new Account(this, 'account', { name: 'registry', namespace });
    new Access(this, 'access', { subject: { serviceAccount: 'registry', namespace }, grants: registryGrants });
    const nginx = container({
      name: 'nginx',
      image: images.nginx,
      // Without the image's own entry point, which edits its configuration.
      command: ['nginx', '-g', 'daemon off;'],
      resources: registry.resources,
      ports: { http: proxyPort },
      readiness: tcpProbe('http'),
      liveness: tcpProbe('http', 30),
      mounts: [
        { name: 'config', mountPath: '/etc/nginx/nginx.conf', subPath: 'nginx.conf', readOnly: true },
        { name: 'cache', mountPath: writable },
      ],
    });
    const auth = container({
      name: 'auth',
      image: images.miner,
      args: [
        'registry-auth',
        `--hotkey=${hotkey.path}`,
        `--port=${authPort}`,
        `--status-port=${statusPort}`,
        // For kubelet's probes and Prometheus; what signs listens on loopback only.
        '--status-host=0.0.0.0',
      ],
      env: [
        { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'VALIDATORS', value: JSON.stringify({ supported: validators }) },
      ],
      resources: registry.auth.resources,
      ports: { status: statusPort },
      readiness: httpProbe('/readyz', 'status', 5),
      liveness: httpProbe('/healthz', 'status'),
      mounts: [hotkey.mount],
    });
    new k8s.KubeDaemonSet(this, 'daemons', {
      metadata: { name: 'registry', namespace, labels, annotations: inWave('workload') },
      spec: {
        revisionHistoryLimit: 3,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels, annotations: { ...configHash(data), ...scraped(statusPort) } },
          spec: podSpec({
            serviceAccount: 'registry',
            priorityClass: criticalPriority,
            nodeSelector: registry.nodeSelector,
            imagePullSecrets: secrets.imagePull,
            containers: [auth, nginx],
            volumes: [
              hotkey.volume,
              { name: 'config', configMap: { name: 'registry-nginx-config' } },
              { name: 'cache', emptyDir: {} },
            ],
          }),
        },
      },
    });
    new PartService(this, 'service', {
      name: 'registry',
      namespace,
      labels,
      port: { name: 'http', number: proxyPort, nodePort: registry.port },
      internalLocal: true,
    });
    new Policy(this, 'policy', {
      name: 'registry',
      namespace,
      selector: { matchLabels: labels },
      ingress: [
        // Pulls come from the node itself; the node port may be open to the neighbours and to the world.
        { from: registry.podNetworks.map((cidr) => ({ ipBlock: { cidr } })), ports: tcp(proxyPort) },
        { from: [{ namespaceSelector: namespaceSelector(monitoringNamespace) }], ports: tcp(statusPort) },
      ],
      egress: [toDns, toAnywhere(...registryPorts(config))],
    });
  }
}
