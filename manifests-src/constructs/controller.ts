// The controller: the miner API on a node port, the link for Gepetto inside the cluster. Members are reached with the kubeconfigs that their
// agents handed out; in its own cluster it only asks Argo CD to look at Applications.

import type { MinerConfig, ServerConfig } from '@miner/controller/domain/config.ts';
import { nodePortRange } from '@miner/controller/domain/nodeport.ts';
import { Construct } from 'constructs';
import { Account, type Grant } from './access.ts';
import { applicationNames } from './application-names.ts';
import { container, httpProbe } from './container.ts';
import { Singleton } from './deployment.ts';
import { labelsOf, chutesNamespace as namespace } from './names.ts';
import { Policy, type Port, pods, tcp, toAnywhere, toDns } from './network-policy.ts';
import {
  hotkeyFile,
  linkTokenFile,
  portOfUrl,
  ports,
  postgresAccess,
  postgresEnv,
  redisAccess,
  redisEnv,
  scraped,
  scratch,
} from './program.ts';
import { repositoryOf } from './repository.ts';
import { PartService } from './service.ts';

export interface ControllerProps {
  config: MinerConfig;
  servers: readonly ServerConfig[];
}

export const controllerLabels = labelsOf('controller');
export const controllerAccount = { serviceAccount: 'controller', namespace };

/** Members may be at any address; which ports they and the validators have is known. */
function reachedPorts({ config, servers }: ControllerProps): Port[] {
  const { first, last } = nodePortRange;
  const named = [
    ...config.validators.flatMap(({ api, socket }) => [api, socket]),
    ...servers.map(({ agentApi }) => agentApi),
  ].map(portOfUrl);
  const single = [...new Set([443, 6443, ...named, ...config.controller.egressPorts])];
  return [...single.filter((port) => port < first || port > last).sort((a, b) => a - b), [first, last]];
}

/**
 * To annotate the miner's Applications, and no others of that Argo CD, and to find those whose buttons were pressed: a list cannot be
 * granted by name. Granted among Argo CD's files.
 */
export function argocdGrants({ config, servers }: ControllerProps): Grant[] {
  const { argocd, control, members, chutes } = applicationNames;
  const names = [argocd, control, ...servers.flatMap(({ name }) => [members(name), chutes(name)])];
  const what = { group: 'argoproj.io', resources: ['applications'] };
  const rules = [
    { ...what, verbs: ['get', 'patch'], names },
    { ...what, verbs: ['list'] },
  ];
  return [{ name: 'miner-controller', namespace: config.argocd.namespace, rules }];
}

export class Controller extends Construct {
  constructor(scope: Construct, id: string, props: ControllerProps) {
    super(scope, id);
    const { config } = props;
    const { resources, placement, nodePort } = config.controller;
    const labels = controllerLabels;
    const hotkey = hotkeyFile(config);
    const token = linkTokenFile(config);
    const repository = repositoryOf(config, 'controller');
    new Account(this, 'account', { name: controllerAccount.serviceAccount, namespace });
    new Singleton(this, 'controller', {
      name: 'controller',
      namespace,
      labels,
      podLabels: { ...postgresAccess, ...redisAccess, ...repository.podLabels },
      podAnnotations: scraped(ports.api),
      placement,
      serviceAccount: controllerAccount.serviceAccount,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'controller',
          image: config.images.miner,
          args: [
            'controller',
            `--hotkey=${hotkey.path}`,
            ...repository.args,
            `--link-token-file=${token.path}`,
            `--port=${ports.api}`,
            `--link-port=${ports.link}`,
            `--argocd-namespace=${config.argocd.namespace}`,
          ],
          env: [...scratch.env, ...postgresEnv(config), ...redisEnv(config)],
          resources,
          ports: { api: ports.api, link: ports.link },
          startup: { ...httpProbe('/healthz', 'api', 5), failureThreshold: 60 },
          readiness: httpProbe('/readyz', 'api'),
          liveness: httpProbe('/healthz', 'api'),
          mounts: [hotkey.mount, token.mount, ...repository.mounts, ...scratch.mounts],
        }),
      ],
      volumes: [hotkey.volume, token.volume, ...repository.volumes, ...scratch.volumes],
    });
    // A controller that is not ready still answers, and says why.
    const always = { namespace, labels, evenWhenNotReady: true };
    new PartService(this, 'api', { ...always, name: 'api', port: { name: 'api', number: 8000, nodePort } });
    new PartService(this, 'link', { ...always, name: 'controller', port: { name: 'link', number: ports.link } });
    new Policy(this, 'policy', {
      name: 'controller',
      namespace,
      selector: { matchLabels: labels },
      ingress: [
        // Callers of the miner API sign each request.
        { ports: tcp(ports.api) },
        { from: [pods(labelsOf('gepetto'))], ports: tcp(ports.link) },
      ],
      egress: [
        toDns,
        { to: [pods(labelsOf('chutes-postgres'))], ports: tcp(5432) },
        { to: [pods(labelsOf('chutes-redis'))], ports: tcp(6379) },
        repository.egress,
        toAnywhere(...reachedPorts(props)),
      ],
    });
  }
}
