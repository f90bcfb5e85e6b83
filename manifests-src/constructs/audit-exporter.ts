// The hourly audit report as a CronJob. It calls no API of the cluster: Prometheus tells what ran (D6).

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { Claim } from './claim.ts';
import { container, podSpec } from './container.ts';
import { labelsOf, monitoringNamespace, chutesNamespace as namespace, namespaceSelector } from './names.ts';
import { Policy, pods, tcp, toDns, toInternet } from './network-policy.ts';
import { hotkeyFile, portOfUrl, postgresAccess, postgresEnv, scratch } from './program.ts';
import { inWave } from './waves.ts';

const reportsFolder = '/var/lib/chutes/audit';

export class AuditExporter extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { schedule, chain, netuid, prometheus, storage, resources, placement } = config.audit;
    const labels = labelsOf('audit-exporter');
    const hotkey = hotkeyFile(config);
    const apis = config.validators.map(({ api }) => api);
    new Claim(this, 'claim', { name: 'audit-reports', namespace, ...storage });
    const pod = podSpec({
      restartPolicy: 'OnFailure',
      placement,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'audit-exporter',
          image: config.images.miner,
          args: [
            'audit-exporter',
            `--hotkey=${hotkey.path}`,
            `--dir=${reportsFolder}`,
            `--api=${apis.join(',')}`,
            `--prometheus=${prometheus}`,
            `--netuid=${netuid}`,
            chain === 'none' ? '--no-chain' : `--chain=${chain}`,
          ],
          env: [...scratch.env, ...postgresEnv(config)],
          resources,
          mounts: [hotkey.mount, { name: 'reports', mountPath: reportsFolder }, ...scratch.mounts],
        }),
      ],
      volumes: [
        hotkey.volume,
        { name: 'reports', persistentVolumeClaim: { claimName: 'audit-reports' } },
        ...scratch.volumes,
      ],
    });
    new k8s.KubeCronJob(this, 'cronjob', {
      metadata: { name: 'audit-exporter', namespace, labels, annotations: inWave('workload') },
      spec: {
        schedule,
        concurrencyPolicy: 'Forbid',
        // Missed hours are filled by the next run.
        startingDeadlineSeconds: 1800,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 3,
        jobTemplate: {
          spec: {
            backoffLimit: 5,
            activeDeadlineSeconds: 1800,
            template: { metadata: { labels: { ...labels, ...postgresAccess } }, spec: pod },
          },
        },
      },
    });
    const outside = [...apis, ...(chain === 'none' ? [] : [chain])].map(portOfUrl);
    new Policy(this, 'policy', {
      name: 'audit-exporter',
      namespace,
      selector: { matchLabels: labels },
      egress: [
        toDns,
        { to: [pods(labelsOf('chutes-postgres'))], ports: tcp(5432) },
        { to: [{ namespaceSelector: namespaceSelector(monitoringNamespace) }], ports: tcp(9090) },
        toInternet(...new Set(outside)),
      ],
    });
  }
}
