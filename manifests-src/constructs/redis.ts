// Redis of the control plane: one pod, reached only by pods that say so in a label. The password is neither in the process list nor in
// the environment.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { Claim, dataVolume } from './claim.ts';
import { container, secretVolume, tcpProbe } from './container.ts';
import { Singleton } from './deployment.ts';
import { configHash } from './hash.ts';
import { labelsOf, chutesNamespace as namespace } from './names.ts';
import { Policy, pods, tcp } from './network-policy.ts';
import { redisAccess } from './program.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

/** User `redis` of the image. */
const user = 999;
const readPassword = 'read -r REDISCLI_AUTH < /run/secrets/redis/password || :';

const start = [
  'umask 077',
  readPassword,
  `printf 'requirepass %s\\n' "$REDISCLI_AUTH" > /run/redis/password.conf`,
  'unset REDISCLI_AUTH',
  'exec redis-server /etc/redis/redis.conf',
].join('\n');

/** Names in order, so that the order in miner.yaml does not matter. */
function redisConf(settings: Readonly<Record<string, string>>): string {
  const all = {
    port: '6379',
    dir: '/data',
    include: '/run/redis/password.conf',
    appendonly: 'yes',
    'maxmemory-policy': 'noeviction',
    ...settings,
  };
  return Object.entries(all)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
}

export class Redis extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { settings, storage, resources, placement } = config.redis;
    const labels = labelsOf('chutes-redis');
    const { size, storageClass, kind } = storage;
    if (kind === 'claim')
      new Claim(this, 'claim', { name: 'redis-data', namespace, size, storageClass, wave: 'store' });
    const data = { 'redis.conf': redisConf(settings) };
    new k8s.KubeConfigMap(this, 'config', {
      metadata: { name: 'redis-config', namespace, annotations: inWave('settings') },
      data,
    });
    const ping = `${readPassword}; export REDISCLI_AUTH; redis-cli ping | grep -q PONG`;
    new Singleton(this, 'redis', {
      name: 'redis',
      namespace,
      labels,
      wave: 'store',
      podAnnotations: configHash(data),
      user,
      placement,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'redis',
          image: config.images.redis,
          command: ['/bin/sh', '-ec', start],
          resources,
          ports: { redis: 6379 },
          startup: { ...tcpProbe('redis', 5), failureThreshold: 60 },
          readiness: { exec: { command: ['/bin/sh', '-ec', ping] }, periodSeconds: 10, timeoutSeconds: 5 },
          liveness: tcpProbe('redis', 30),
          mounts: [
            { name: 'data', mountPath: '/data' },
            { name: 'config', mountPath: '/etc/redis', readOnly: true },
            { name: 'password', mountPath: '/run/secrets/redis', readOnly: true },
            { name: 'run', mountPath: '/run/redis' },
          ],
        }),
      ],
      volumes: [
        dataVolume({ kind, claim: 'redis-data', hostPath: '/var/snap/redis-data' }),
        { name: 'config', configMap: { name: 'redis-config' } },
        secretVolume('password', config.secrets.redis, 'password'),
        { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString('1Mi') } },
      ],
    });
    new PartService(this, 'service', { name: 'redis', namespace, labels, port: { name: 'redis', number: 6379 } });
    new Policy(this, 'policy', {
      name: 'redis',
      namespace,
      selector: { matchLabels: labels },
      ingress: [{ from: [pods(redisAccess)], ports: tcp(6379) }],
    });
  }
}
