// The git server of a miner without a git host: one repository over HTTP inside the control cluster, for the controller, Gepetto and Argo CD.
// People reach it with `kubectl port-forward`. A CronJob keeps copies of the whole repository on another volume.

import { readFileSync } from 'node:fs';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { gitServerConfig, repositoryName } from '../git/nginx.ts';
import { Claim } from './claim.ts';
import { container, httpProbe, podSpec } from './container.ts';
import { Singleton } from './deployment.ts';
import { configHash } from './hash.ts';
import { labelsOf, chutesNamespace as namespace } from './names.ts';
import { Policy, pods, tcp } from './network-policy.ts';
import { scratch } from './program.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

const name = 'git-server';
const port = 8080;
const folders = {
  data: '/srv/git',
  run: '/run/git',
  secret: '/run/secrets/git',
  scripts: '/etc/git-server',
  backup: '/backup',
};

export const gitServerLabels = labelsOf(name);
/** Pods with it may reach the server. */
export const gitAccess = { 'git-access': 'true' };
export const embeddedGit = { url: `http://${name}.${namespace}.svc.cluster.local:${port}/${repositoryName}`, port };

const script = (file: string): string => readFileSync(new URL(`../git/${file}`, import.meta.url), 'utf8');
const files = {
  'backup.sh': script('backup.sh'),
  'nginx.conf': gitServerConfig({ listenPort: port }),
  'serve.sh': script('serve.sh'),
};

const variables = (values: Record<string, string>): k8s.EnvVar[] =>
  Object.entries(values).map(([key, value]) => ({ name: key, value }));
const scripts = {
  volume: { name: 'scripts', configMap: { name } },
  mount: { name: 'scripts', mountPath: folders.scripts, readOnly: true },
};

function server(scope: Construct, config: MinerConfig): void {
  const { resources, placement } = config.git.server;
  new Singleton(scope, 'server', {
    name,
    namespace,
    labels: gitServerLabels,
    podAnnotations: configHash(files),
    wave: 'store',
    placement,
    // A push that has begun may end.
    graceSeconds: 60,
    imagePullSecrets: config.secrets.imagePull,
    containers: [
      container({
        name,
        image: config.images.gitServer,
        command: ['/bin/sh', `${folders.scripts}/serve.sh`],
        env: [
          ...scratch.env,
          ...variables({
            DATA: folders.data,
            SECRET: folders.secret,
            RUN: folders.run,
            CONF: `${folders.scripts}/nginx.conf`,
            BACKEND: '9000',
          }),
        ],
        resources,
        ports: { http: port },
        startup: { ...httpProbe('/readyz', 'http', 5), failureThreshold: 60 },
        readiness: httpProbe('/readyz', 'http'),
        liveness: httpProbe('/readyz', 'http', 30),
        mounts: [
          { name: 'data', mountPath: folders.data },
          { name: 'run', mountPath: folders.run },
          { name: 'users', mountPath: folders.secret, readOnly: true },
          scripts.mount,
          ...scratch.mounts,
        ],
      }),
    ],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: 'git-data' } },
      { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString('64Mi') } },
      usersVolume(config),
      scripts.volume,
      ...scratch.volumes,
    ],
  });
}

/** With `readers`, if the Secret has that key. */
function usersVolume({ git }: MinerConfig): k8s.Volume {
  const { name: secretName, key } = git.credentials;
  const item = (from: string, path: string, optional: boolean) => ({
    secret: { name: secretName, optional, items: [{ key: from, path }] },
  });
  return {
    name: 'users',
    projected: { defaultMode: 0o440, sources: [item(key, 'credentials', false), item('readers', 'readers', true)] },
  };
}

function backup(scope: Construct, config: MinerConfig): void {
  const { schedule, keep, storage, resources } = config.git.server.backup;
  const labels = labelsOf('git-backup');
  new Claim(scope, 'backup-claim', { name: 'git-backup', namespace, ...storage });
  const pod = podSpec({
    restartPolicy: 'OnFailure',
    placement: config.git.server.placement,
    imagePullSecrets: config.secrets.imagePull,
    containers: [
      container({
        name: 'backup',
        image: config.images.gitServer,
        command: ['/bin/sh', `${folders.scripts}/backup.sh`],
        env: [...scratch.env, ...variables({ DATA: folders.data, BACKUP: folders.backup, KEEP: String(keep) })],
        resources,
        mounts: [
          { name: 'data', mountPath: folders.data, readOnly: true },
          { name: 'backup', mountPath: folders.backup },
          scripts.mount,
          ...scratch.mounts,
        ],
      }),
    ],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: 'git-data', readOnly: true } },
      { name: 'backup', persistentVolumeClaim: { claimName: 'git-backup' } },
      scripts.volume,
      ...scratch.volumes,
    ],
  });
  // The volume may be attached to the server's node only.
  const beside = { labelSelector: { matchLabels: gitServerLabels }, topologyKey: 'kubernetes.io/hostname' };
  new k8s.KubeCronJob(scope, 'backup', {
    metadata: { name: 'git-backup', namespace, labels, annotations: inWave('workload') },
    spec: {
      schedule,
      concurrencyPolicy: 'Forbid',
      startingDeadlineSeconds: 3600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 3,
      jobTemplate: {
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: 3600,
          template: {
            metadata: { labels },
            spec: {
              ...pod,
              affinity: { ...pod.affinity, podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [beside] } },
            },
          },
        },
      },
    },
  });
}

export class GitServer extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { git, argocd } = config;
    new k8s.KubeConfigMap(this, 'files', {
      metadata: { name, namespace, annotations: inWave('settings') },
      data: files,
    });
    new Claim(this, 'claim', { name: 'git-data', namespace, ...git.server.storage, wave: 'store' });
    server(this, config);
    if (git.server.backup.enabled) backup(this, config);
    new PartService(this, 'service', {
      name,
      namespace,
      labels: gitServerLabels,
      port: { name: 'http', number: port },
    });
    // It calls nobody, and so does what copies it.
    new Policy(this, 'policy', {
      name,
      namespace,
      selector: { matchLabels: gitServerLabels },
      ingress: [{ from: [pods(gitAccess), pods(labelsOf('argocd-repo-server'), argocd.namespace)], ports: tcp(port) }],
    });
  }
}
