// The cache cleaner of a GPU server, on a schedule. It works as root on the host's cache, because each chute's files are its own; it asks
// the cluster which chutes run.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { Access, Account, type Grant } from './access.ts';
import { container, podSpec } from './container.ts';
import { chutesNamespace, labelsOf, systemNamespace as namespace } from './names.ts';
import { Policy, toAnywhere } from './network-policy.ts';
import { inWave } from './waves.ts';

const cacheRoot = '/var/snap/cache';

export const cacheCleanerGrants: readonly Grant[] = [
  { name: 'cache-cleaner', namespace: chutesNamespace, rules: [{ group: '', resources: ['pods'], verbs: ['list'] }] },
];

export class CacheCleaner extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { maxAgeDays, maxSizeGb, minFreeGb, schedule, dryRun, resources } = config.cache;
    const labels = labelsOf('cache-cleaner');
    new Account(this, 'account', { name: 'cache-cleaner', namespace });
    new Access(this, 'access', { subject: { serviceAccount: 'cache-cleaner', namespace }, grants: cacheCleanerGrants });
    const cleaner = container({
      name: 'cache-cleaner',
      image: config.images.cacheCleaner,
      args: [
        'cache-cleaner',
        '--root=/cache',
        `--max-age-days=${maxAgeDays}`,
        `--max-size-gb=${maxSizeGb}`,
        `--min-free-gb=${minFreeGb}`,
        ...(dryRun ? ['--dry-run'] : []),
      ],
      resources,
      mounts: [{ name: 'cache', mountPath: '/cache' }],
    });
    const pod = podSpec({
      serviceAccount: 'cache-cleaner',
      restartPolicy: 'OnFailure',
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        {
          ...cleaner,
          securityContext: {
            ...cleaner.securityContext,
            // The files of chutes belong to others, and so do the folders they are in.
            capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE', 'FOWNER'] },
          },
        },
      ],
      volumes: [{ name: 'cache', hostPath: { path: cacheRoot, type: 'DirectoryOrCreate' } }],
    });
    new k8s.KubeCronJob(this, 'cronjob', {
      metadata: { name: 'cache-cleaner', namespace, labels, annotations: inWave('workload') },
      spec: {
        schedule,
        concurrencyPolicy: 'Forbid',
        successfulJobsHistoryLimit: 1,
        failedJobsHistoryLimit: 1,
        jobTemplate: {
          spec: {
            backoffLimit: 2,
            activeDeadlineSeconds: 3600,
            template: {
              metadata: { labels },
              spec: {
                ...pod,
                securityContext: { runAsUser: 0, runAsGroup: 0, seccompProfile: { type: 'RuntimeDefault' } },
              },
            },
          },
        },
      },
    });
    // The API server only.
    new Policy(this, 'policy', {
      name: 'cache-cleaner',
      namespace,
      selector: { matchLabels: labels },
      egress: [toAnywhere(443, 6443)],
    });
  }
}
