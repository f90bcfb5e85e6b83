// The GPU verification of one server: a Service and a Job that live for minutes (kubernetes.md 3.5, graval.md 4.3). The controller applies
// them itself and needs their answer within seconds, so they never come through git.

import { bootstrapNames, bootstrapSelector } from '@miner/controller/domain/bootstrap.ts';
import type { BootstrapRequest } from '@miner/controller/domain/ports.ts';
import { k8s } from 'cdk8s-plus-28';
import { httpProbe, programUser, pullPolicy } from '../constructs/container.ts';
import { bootstrapLabel, chutesNamespace } from '../constructs/names.ts';
import { demand, demandLabels } from '../constructs/rules.ts';
import type { JsonObject } from '../yaml.ts';

const port = 8000;
const { Quantity } = k8s;

/** All GPUs are asked for as a resource: while it runs, nothing else gets one. */
function amountsOf({ gpuCount, cpuPerGpu, memoryPerGpu }: BootstrapRequest): Record<string, k8s.Quantity> {
  const counts = { cpu: cpuPerGpu * gpuCount, memory: memoryPerGpu * gpuCount, gpus: gpuCount };
  for (const [name, value] of Object.entries(counts))
    demand(Number.isInteger(value) && value >= 1, 'R21', `${name} is ${value}`, 'it must be a whole number above 0');
  return {
    cpu: Quantity.fromString(String(counts.cpu)),
    memory: Quantity.fromString(`${counts.memory}Gi`),
    'nvidia.com/gpu': Quantity.fromString(String(counts.gpus)),
  };
}

function bootstrapContainer(request: BootstrapRequest): k8s.Container {
  const { image, validatorHotkey, minerHotkey } = request;
  return {
    name: 'graval',
    image,
    imagePullPolicy: pullPolicy(image),
    // Whom it answers: without these it refuses to start. It never sees a seed (R1).
    env: [
      { name: 'VALIDATOR_WHITELIST', value: validatorHotkey },
      { name: 'MINER_HOTKEY_SS58', value: minerHotkey },
      { name: 'HOME', value: '/tmp' },
    ],
    ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
    resources: { requests: amountsOf(request), limits: amountsOf(request) },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    readinessProbe: { ...httpProbe('/ping', 'http'), initialDelaySeconds: 5 },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  };
}

/** Throws E-GUARD for amounts that are nought or no whole numbers (R21), and for a server name that is no label (R27). */
export function gravalBootstrap(
  member: string,
  request: BootstrapRequest,
  namespace = chutesNamespace,
): { service: JsonObject; job: JsonObject } {
  const names = bootstrapNames(member);
  const selector = bootstrapSelector(member);
  const labels = { ...selector, 'chute/chute': 'false', ...bootstrapLabel };
  demandLabels(labels);
  const service = k8s.KubeService.manifest({
    metadata: { name: names.service, namespace, labels: selector },
    spec: {
      type: 'NodePort',
      selector,
      ports: [
        {
          name: 'graval',
          port,
          targetPort: k8s.IntOrString.fromNumber(port),
          protocol: 'TCP',
          nodePort: request.nodePort,
        },
      ],
    },
  });
  const job = k8s.KubeJob.manifest({
    metadata: { name: names.job, namespace, labels },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 3,
      // Nothing in git declares it, so nothing starts it again (R14).
      ttlSecondsAfterFinished: 300,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'OnFailure',
          nodeName: member,
          runtimeClassName: 'nvidia',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: programUser,
            runAsGroup: programUser,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [bootstrapContainer(request)],
          volumes: [{ name: 'tmp', emptyDir: {} }],
        },
      },
    },
  });
  return { service, job };
}
