// The agent of a GPU server: answers for its cluster on a node port, and hands the cluster's kubeconfig to the miner.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { nodePortRange } from '@miner/controller/domain/nodeport.ts';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { Access, Account, type Grant } from './access.ts';
import { container, httpProbe } from './container.ts';
import { Singleton } from './deployment.ts';
import { chutesNamespace, labelsOf, systemNamespace as namespace } from './names.ts';
import { Policy, tcp, toAnywhere, toDns } from './network-policy.ts';
import { criticalPriority } from './priority.ts';
import { hotkeyFile } from './program.ts';
import { PartService } from './service.ts';
import { inWave } from './waves.ts';

const stateFolder = '/var/lib/chutes/agent';
const port = 8000;

/** What it reads to tell of its cluster, and the one Secret that it hands out. */
export const agentGrants: readonly Grant[] = [
  {
    name: 'agent',
    namespace: chutesNamespace,
    rules: [
      { group: '', resources: ['pods', 'services'], verbs: ['list'] },
      { group: 'apps', resources: ['deployments'], verbs: ['list'] },
      { group: 'batch', resources: ['jobs'], verbs: ['list'] },
    ],
  },
  {
    name: 'agent-kubeconfig',
    namespace: 'default',
    rules: [{ group: '', resources: ['secrets'], verbs: ['get'], names: ['miner-kubeconfig'] }],
  },
  { name: 'agent-nodes', rules: [{ group: '', resources: ['nodes'], verbs: ['list'] }] },
];

export class Agent extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { resources, nodePort } = config.agent;
    const labels = labelsOf('agent');
    const hotkey = hotkeyFile(config);
    new Account(this, 'account', { name: 'agent', namespace });
    new Access(this, 'access', { subject: { serviceAccount: 'agent', namespace }, grants: agentGrants });
    new Singleton(this, 'agent', {
      name: 'agent',
      namespace,
      labels,
      serviceAccount: 'agent',
      priorityClass: criticalPriority,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'agent',
          image: config.images.miner,
          args: [
            'agent',
            `--hotkey=${hotkey.path}`,
            '--name=$(NODE_NAME)',
            `--state-dir=${stateFolder}`,
            `--port=${port}`,
          ],
          env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
          resources,
          ports: { http: port },
          readiness: httpProbe('/monitor/health', 'http', 5),
          liveness: { ...httpProbe('/monitor/health', 'http'), initialDelaySeconds: 30 },
          mounts: [hotkey.mount, { name: 'state', mountPath: stateFolder }],
        }),
      ],
      // Outlives the pod. The folder belongs to user 1000; whoever sets the server up makes it.
      volumes: [hotkey.volume, { name: 'state', hostPath: { path: stateFolder, type: 'DirectoryOrCreate' } }],
    });
    new PartService(this, 'service', {
      name: 'agent',
      namespace,
      labels,
      port: { name: 'http', number: port, nodePort },
    });
    new k8s.KubePodDisruptionBudget(this, 'budget', {
      metadata: { name: 'agent', namespace, annotations: inWave('workload') },
      // A single pod that may not go away would block every drain (D20).
      spec: { maxUnavailable: k8s.IntOrString.fromNumber(1), selector: { matchLabels: labels } },
    });
    new Policy(this, 'policy', {
      name: 'agent',
      namespace,
      selector: { matchLabels: labels },
      // Callers sign each request.
      ingress: [{ ports: tcp(port) }],
      // The API server of the cluster, and an older control plane.
      egress: [toDns, toAnywhere(443, 6443, [nodePortRange.first, nodePortRange.last])],
    });
  }
}
