// Grafana: one data source, the dashboards of monitoring/dashboards.ts, no rights in the cluster, nothing fetched from the internet.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { dashboards } from '../monitoring/dashboards.ts';
import { container, httpProbe, secretVolume } from './container.ts';
import { Singleton } from './deployment.ts';
import { configHash } from './hash.ts';
import { labelsOf, monitoringNamespace as namespace } from './names.ts';
import { Policy, pods, tcp, toDns } from './network-policy.ts';
import { prometheusLabels } from './prometheus.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

const name = 'grafana';
const dashboardsFolder = '/etc/grafana/dashboards';

const provisioning = {
  'datasource.yaml': JSON.stringify({
    apiVersion: 1,
    datasources: [
      { name: 'Prometheus', uid: 'prometheus', type: 'prometheus', url: 'http://prometheus-server', isDefault: true },
    ],
  }),
  'provider.yaml': JSON.stringify({
    apiVersion: 1,
    providers: [{ name: 'miner', type: 'file', allowUiUpdates: false, options: { path: dashboardsFolder } }],
  }),
};

export class Grafana extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { resources, placement, nodePort, adminUser, adminSecret } = config.monitoring.grafana;
    const labels = labelsOf(name);
    const files = Object.fromEntries(
      dashboards.map((one) => [`${one.uid}.json`, `${JSON.stringify(one, undefined, 1)}\n`]),
    );
    for (const [map, data] of [
      ['grafana-provisioning', provisioning],
      ['grafana-dashboards', files],
    ] as const)
      new k8s.KubeConfigMap(this, map, {
        metadata: { name: map, namespace, annotations: inWave('settings') },
        data,
      });
    const settings = {
      GF_SECURITY_ADMIN_USER: adminUser,
      GF_SECURITY_ADMIN_PASSWORD__FILE: '/run/secrets/grafana/password',
      GF_USERS_ALLOW_SIGN_UP: 'false',
      GF_ANALYTICS_REPORTING_ENABLED: 'false',
      GF_ANALYTICS_CHECK_FOR_UPDATES: 'false',
      GF_PLUGINS_PREINSTALL_DISABLED: 'true',
    };
    new Singleton(this, name, {
      name,
      namespace,
      labels,
      user: 472,
      placement,
      podAnnotations: configHash({ ...files, ...provisioning }),
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name,
          image: config.images.grafana,
          env: Object.entries(settings).map(([key, value]) => ({ name: key, value })),
          resources,
          ports: { http: 3000 },
          startup: { ...httpProbe('/api/health', 'http', 5), failureThreshold: 60 },
          readiness: httpProbe('/api/health', 'http'),
          liveness: httpProbe('/api/health', 'http', 30),
          mounts: [
            { name: 'data', mountPath: '/var/lib/grafana' },
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'password', mountPath: '/run/secrets/grafana', readOnly: true },
            { name: 'dashboards', mountPath: dashboardsFolder, readOnly: true },
            ...['datasource', 'provider'].map((file) => ({
              name: 'provisioning',
              mountPath: `/etc/grafana/provisioning/${file === 'provider' ? 'dashboards' : 'datasources'}/${file}.yaml`,
              subPath: `${file}.yaml`,
              readOnly: true,
            })),
          ],
        }),
      ],
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'tmp', emptyDir: {} },
        secretVolume('password', adminSecret, 'password'),
        { name: 'dashboards', configMap: { name: 'grafana-dashboards' } },
        { name: 'provisioning', configMap: { name: 'grafana-provisioning' } },
      ],
    });
    new PartService(this, 'service', { name, namespace, labels, port: { name: 'http', number: 80, nodePort } });
    new Policy(this, 'policy', {
      name,
      namespace,
      selector: { matchLabels: labels },
      // Callers have to log in.
      ingress: [{ ports: tcp(3000) }],
      egress: [toDns, { to: [pods(prometheusLabels)], ports: tcp(9090) }],
    });
  }
}
