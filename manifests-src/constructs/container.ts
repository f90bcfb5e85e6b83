// Containers and pods of the miner's own parts: restricted pod security, fixed resources, pinned pulls. What a part needs beyond that it
// says itself (R20-R23).

import type { Placement, Resources } from '@miner/controller/domain/values/common.ts';
import { isPinned } from '@miner/controller/domain/values/images.ts';
import { k8s } from 'cdk8s-plus-28';
import { demand } from './rules.ts';

const { Quantity } = k8s;

/** The user of the program's image, and of everything else that has none of its own. */
export const programUser = 1000;

export interface ContainerProps {
  name: string;
  image: string;
  resources: Resources;
  command?: string[];
  args?: string[];
  env?: k8s.EnvVar[];
  /** Port numbers by name, TCP. */
  ports?: Readonly<Record<string, number>>;
  /** Until it succeeds, the others wait. */
  startup?: k8s.Probe;
  readiness?: k8s.Probe;
  liveness?: k8s.Probe;
  mounts?: k8s.VolumeMount[];
}

function amounts({ cpu, memory }: Resources['requests']): Record<string, k8s.Quantity> {
  return { cpu: Quantity.fromString(cpu), memory: Quantity.fromString(memory) };
}

/** What a registry could change under a tag is asked for at each start. */
export function pullPolicy(image: string): string {
  return isPinned(image) ? 'IfNotPresent' : 'Always';
}

/** Throws E-GUARD for an image without a tag, or with the tag `latest` (R20). */
export function container(props: ContainerProps): k8s.Container {
  const { name, image, resources, ports, startup, readiness, liveness, mounts, ...rest } = props;
  demand(
    /:[\w][\w.-]*(@|$)/.test(image) && !/:latest(@|$)/.test(image),
    'R20',
    `image is "${image}"`,
    'it needs a tag',
  );
  return {
    name,
    image,
    imagePullPolicy: pullPolicy(image),
    ...rest,
    resources: { requests: amounts(resources.requests), limits: amounts(resources.limits) },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    ...(ports && { ports: Object.entries(ports).map(([name, port]) => ({ name, containerPort: port })) }),
    ...(startup && { startupProbe: startup }),
    ...(readiness && { readinessProbe: readiness }),
    ...(liveness && { livenessProbe: liveness }),
    ...(mounts && { volumeMounts: mounts }),
  };
}

export interface PodProps {
  containers: k8s.Container[];
  initContainers?: k8s.Container[];
  /** Default 1000. */
  user?: number;
  volumes?: k8s.Volume[];
  /** Only for what calls the API of its cluster. Default: no token is mounted. */
  serviceAccount?: string;
  placement?: Placement;
  nodeSelector?: Record<string, string>;
  priorityClass?: string;
  restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  /** Seconds. Default 30. */
  graceSeconds?: number;
  imagePullSecrets: readonly string[];
}

const notOnGpuNodes: k8s.Affinity = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [
        { matchExpressions: [{ key: 'nvidia.com/gpu.present', operator: 'NotIn', values: ['true'] }] },
      ],
    },
  },
};

function placed({ nodeSelector, avoidGpuNodes, tolerations }: Placement): Partial<k8s.PodSpec> {
  return {
    ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
    ...(tolerations.length > 0 && { tolerations }),
    ...(avoidGpuNodes && { affinity: notOnGpuNodes }),
  };
}

/** A pod that admission at level `restricted` accepts, unless its volumes say otherwise. */
export function podSpec(props: PodProps): k8s.PodSpec {
  const { containers, initContainers, volumes, serviceAccount, placement, nodeSelector, imagePullSecrets } = props;
  const user = props.user ?? programUser;
  return {
    ...(serviceAccount && { serviceAccountName: serviceAccount }),
    automountServiceAccountToken: serviceAccount !== undefined,
    enableServiceLinks: false,
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
    ...(props.priorityClass && { priorityClassName: props.priorityClass }),
    ...(props.restartPolicy && { restartPolicy: props.restartPolicy }),
    ...(placement && placed(placement)),
    ...(nodeSelector && { nodeSelector }),
    terminationGracePeriodSeconds: props.graceSeconds ?? 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      fsGroup: user,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(initContainers && { initContainers }),
    containers,
    ...(volumes && { volumes }),
  };
}

/** Probes of a part that answers on HTTP; periods in seconds. */
export function httpProbe(path: string, port: string, periodSeconds = 10): k8s.Probe {
  return {
    httpGet: { path, port: k8s.IntOrString.fromString(port) },
    periodSeconds,
    timeoutSeconds: 5,
    failureThreshold: 3,
  };
}

export function tcpProbe(port: string, periodSeconds = 10): k8s.Probe {
  return {
    tcpSocket: { port: k8s.IntOrString.fromString(port) },
    periodSeconds,
    timeoutSeconds: 3,
    failureThreshold: 3,
  };
}

/** Read-only; a probe and the program see the same files. */
export function secretVolume(name: string, secret: { name: string; key: string }, file: string): k8s.Volume {
  // Readable by the group that fsGroup gives the pod, and by nobody else.
  return { name, secret: { secretName: secret.name, defaultMode: 0o440, items: [{ key: secret.key, path: file }] } };
}

export function secretEnv(name: string, { name: secret, key }: { name: string; key: string }): k8s.EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } };
}
