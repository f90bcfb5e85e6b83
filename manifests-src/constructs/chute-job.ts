// The Job of one chute deployment (kubernetes.md 3.2). The validator compares process 1 and the image's file system (R6-R9), so what is
// not listed there is left at the Kubernetes defaults. No TTL: Argo CD would start a vanished Job again (R14).

import { chuteRegistries } from '@miner/controller/domain/config.ts';
import { mountsCode, needsLaunchToken, probePort } from '@miner/controller/domain/version.ts';
import { k8s } from 'cdk8s-plus-28';
import type { JsonObject } from '../yaml.ts';
import { codeOf } from './chute-code.ts';
import { cacheInitEnv, chuteEnv } from './chute-env.ts';
import {
  type ChuteProps,
  chuteAnnotations,
  codeName,
  demandConsistent,
  jobLabels,
  jobName,
  namespace,
} from './chute-props.ts';
import { pullPolicy } from './container.ts';
import { demand, demandLabels } from './rules.ts';

const cacheRoot = '/var/snap/cache';
const { Quantity } = k8s;

function chuteImage({ chute, config }: ChuteProps): string {
  const { proxy, direct } = chuteRegistries(chute.validator, config);
  if (config.registry.mode === 'proxy') return `${proxy}/${chute.image}`;
  demand(direct !== undefined, 'R10', `validator is ${chute.validator}`, 'it must be one of miner.yaml');
  return `${direct}/${chute.image}`;
}

/** Process 1, word for word what the validator expects (R6). */
function command({ chute, server, config }: ChuteProps): string[] {
  const launch = ['chutes', 'run', chute.refStr, '--port', '8000'];
  const accounts = ['--miner-ss58', config.hotkey, '--validator-ss58', server.validator];
  if (needsLaunchToken(chute)) return [...launch, ...accounts];
  const { seed } = server;
  demand(
    seed !== undefined,
    'R6',
    `server ${server.name} has no GraVal seed`,
    `library version ${chute.chutesVersion ?? 'unknown'} is started with one`,
  );
  return [...launch, '--graval-seed', String(seed), ...accounts];
}

function resources({ spec, chute, server }: ChuteProps): { cpu: number; memoryGi: number; diskGb: number } {
  const cpu = server.cpuPerGpu * chute.gpuCount;
  const memoryGi = server.memoryPerGpu * chute.gpuCount;
  for (const [name, value] of Object.entries({ cpu, memoryGi, diskGb: spec.diskGb })) {
    demand(Number.isInteger(value) && value >= 1, 'R21', `${name} is ${value}`, 'it must be a whole number above 0');
  }
  return { cpu, memoryGi, diskGb: spec.diskGb };
}

/** Requests and limits are equal in every container, so that the pod is of class Guaranteed. */
function fixed(amounts: Record<string, string>): k8s.ResourceRequirements {
  const of = () =>
    Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, Quantity.fromString(amount)]));
  return { requests: of(), limits: of() };
}

function readiness(port: number): k8s.Probe {
  return {
    exec: { command: ['/bin/sh', '-c', `curl -f http://127.0.0.1:${port}/_alive || exit 1`] },
    initialDelaySeconds: 15,
    periodSeconds: 15,
    timeoutSeconds: 1,
    successThreshold: 1,
    failureThreshold: 60,
  };
}

/** The cleaner works as root on the cache of all chutes. It never needs more than the smallest chute, so it costs no capacity. */
function cacheInit(props: ChuteProps): k8s.Container {
  const image = props.config.images.cacheCleaner;
  return {
    name: 'cache-init',
    image,
    imagePullPolicy: pullPolicy(image),
    args: ['cache-cleaner'],
    env: cacheInitEnv(props),
    resources: fixed({ cpu: '1', memory: '1Gi' }),
    securityContext: { runAsUser: 0, runAsGroup: 0 },
    volumeMounts: [{ name: 'raw-cache', mountPath: '/cache' }],
  };
}

function chuteContainer(props: ChuteProps): k8s.Container {
  const { spec, chute } = props;
  const { cpu, memoryGi, diskGb } = resources(props);
  const code = mountsCode(chute) ? [codeOf(chute)] : [];
  return {
    name: 'chute',
    image: chuteImage(props),
    imagePullPolicy: 'Always',
    command: command(props),
    env: chuteEnv(props),
    ports: spec.ports.map(({ port, proto }) => ({ containerPort: port, protocol: proto })),
    resources: fixed({ cpu: String(cpu), 'ephemeral-storage': `${diskGb}Gi`, memory: `${memoryGi}Gi` }),
    securityContext: { capabilities: { add: ['IPC_LOCK'] } },
    readinessProbe: readiness(probePort(chute)),
    volumeMounts: [
      { name: 'cache', mountPath: '/cache' },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'shm', mountPath: '/dev/shm' },
      ...code.map(({ filename }) => ({ name: 'code', mountPath: `/app/${filename}`, subPath: filename })),
    ],
  };
}

function volumes(props: ChuteProps): k8s.Volume[] {
  const { spec, chute } = props;
  const { memoryGi, diskGb } = resources(props);
  // What is written to shared memory counts against the memory limit: half of it at most.
  const shm = Math.max(1, Math.min(16, Math.floor(memoryGi / 2)));
  return [
    { name: 'cache', hostPath: { path: `${cacheRoot}/${spec.chuteId}`, type: 'DirectoryOrCreate' } },
    { name: 'raw-cache', hostPath: { path: cacheRoot, type: 'DirectoryOrCreate' } },
    { name: 'tmp', emptyDir: { sizeLimit: Quantity.fromString(`${diskGb}Gi`) } },
    { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: Quantity.fromString(`${shm}Gi`) } },
    ...(mountsCode(chute) ? [{ name: 'code', configMap: { name: codeName(chute.chuteId, chute.version) } }] : []),
  ];
}

/** Throws E-GUARD when R3, R6, R7, R21, R27 or R32 is broken, or when spec, chute and server disagree. */
export function chuteJob(props: ChuteProps): JsonObject {
  demandConsistent(props);
  const { spec, server, config } = props;
  demand(/^[A-Za-z0-9.:-]+$/.test(server.ip), 'R10', `host is "${server.ip}"`, 'it must be an address or a host name');
  const labels = jobLabels(props);
  demandLabels(labels);
  const annotations = chuteAnnotations(props);
  return k8s.KubeJob.manifest({
    metadata: { name: jobName(spec.deploymentId), namespace, labels, annotations },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      template: {
        metadata: {
          labels,
          annotations: {
            ...annotations,
            'prometheus.io/path': '/_metrics',
            'prometheus.io/port': '8000',
            'prometheus.io/scrape': 'true',
          },
        },
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: config.shutdownSeconds,
          nodeName: server.name,
          runtimeClassName: 'nvidia',
          // The validator looks for the variables of the Service's link in the pod (R5).
          enableServiceLinks: true,
          securityContext: { runAsUser: 1000, runAsGroup: 1000 },
          initContainers: [cacheInit(props)],
          containers: [chuteContainer(props)],
          volumes: volumes(props),
        },
      },
    },
  });
}
