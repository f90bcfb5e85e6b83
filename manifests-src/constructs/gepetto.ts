// Gepetto: no hotkey, no token of the API, no node port. It works through the controller, the stores and the cluster repository.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { Construct } from 'constructs';
import { container, httpProbe } from './container.ts';
import { controllerLabels } from './controller.ts';
import { Singleton } from './deployment.ts';
import { labelsOf, monitoringNamespace, chutesNamespace as namespace, namespaceSelector } from './names.ts';
import { Policy, pods, tcp, toDns } from './network-policy.ts';
import {
  linkTokenFile,
  ports,
  postgresAccess,
  postgresEnv,
  redisAccess,
  redisEnv,
  scraped,
  scratch,
} from './program.ts';
import { repositoryOf } from './repository.ts';

export class Gepetto extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { resources, placement } = config.gepetto;
    const labels = labelsOf('gepetto');
    const token = linkTokenFile(config);
    const repository = repositoryOf(config, 'gepetto');
    new Singleton(this, 'gepetto', {
      name: 'gepetto',
      namespace,
      labels,
      podLabels: { ...postgresAccess, ...redisAccess, ...repository.podLabels },
      podAnnotations: scraped(ports.gepetto),
      placement,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'gepetto',
          image: config.images.miner,
          args: [
            'gepetto',
            `--controller=http://controller:${ports.link}`,
            ...repository.args,
            `--link-token-file=${token.path}`,
            `--port=${ports.gepetto}`,
          ],
          env: [...scratch.env, ...postgresEnv(config), ...redisEnv(config)],
          resources,
          ports: { http: ports.gepetto },
          startup: { ...httpProbe('/healthz', 'http', 5), failureThreshold: 60 },
          readiness: httpProbe('/readyz', 'http'),
          liveness: httpProbe('/healthz', 'http'),
          mounts: [token.mount, ...repository.mounts, ...scratch.mounts],
        }),
      ],
      volumes: [token.volume, ...repository.volumes, ...scratch.volumes],
    });
    new Policy(this, 'policy', {
      name: 'gepetto',
      namespace,
      selector: { matchLabels: labels },
      ingress: [{ from: [{ namespaceSelector: namespaceSelector(monitoringNamespace) }], ports: tcp(ports.gepetto) }],
      egress: [
        toDns,
        { to: [pods(labelsOf('chutes-postgres'))], ports: tcp(5432) },
        { to: [pods(labelsOf('chutes-redis'))], ports: tcp(6379) },
        { to: [pods(controllerLabels)], ports: tcp(ports.link) },
        repository.egress,
      ],
    });
  }
}
