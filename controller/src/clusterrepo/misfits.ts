// What is wrong with a deployment file by itself: names, labels, environment and annotations that speak of different things.

import type { DeploymentSpec } from '../domain/deployment.ts';
import { gpuEnvId, uuid5 } from '../domain/ids.ts';
import { configMapShape, type JobShape, type ServiceShape } from './manifestshape.ts';

export const violationCodes = [
  'gpu-twice',
  'gpu-unknown',
  'gpu-count',
  'node-port-twice',
  'node-port-range',
  'over-resources',
  'wrong-registry',
  'kind-not-allowed',
  'secret-in-tree',
  'token-in-tree',
  'id-mismatch',
  'manifest-changed',
  'unreadable',
  'render-failed',
] as const;
export type ViolationCode = (typeof violationCodes)[number];

export interface Finding {
  code: ViolationCode;
  message: string;
}

export function deploymentPath(spec: Pick<DeploymentSpec, 'server' | 'deploymentId'>): string {
  return `chutes/${spec.server}/${spec.deploymentId}.yaml`;
}

export function kindOf(document: unknown): string {
  const kind = typeof document === 'object' && document !== null && 'kind' in document ? document.kind : undefined;
  return typeof kind === 'string' ? kind : 'nothing';
}

/** Places where the same id must stand, as [place, found, expected]. */
function idPlaces(
  path: string,
  spec: DeploymentSpec,
  job: JobShape,
  service: ServiceShape,
): [string, string, string][] {
  const id = spec.deploymentId;
  const pod = job.spec.template;
  const ofAll = [
    ['Service', service.metadata.labels],
    ['pod', pod.metadata.labels],
  ] as const;
  const launch = pod.spec.containers[0].env.find(({ name }) => name === 'CHUTES_LAUNCH_JWT')?.valueFrom?.secretKeyRef;
  return [
    ['path', path, deploymentPath(spec)],
    ['name of the Job', job.metadata.name, `chute-${id}`],
    ['name of the Service', service.metadata.name, `chute-service-${id}`],
    ['selector of the Service', service.spec.selector['chutes/deployment-id'], id],
    ['node name', pod.spec.nodeName, spec.server],
    ['Secret of the launch token', launch?.name ?? `launch-${id}`, `launch-${id}`],
    ...ofAll.flatMap(([of, labels]): [string, string, string][] => [
      [`label chutes/deployment-id of the ${of}`, labels['chutes/deployment-id'], id],
      [`label chutes/chute-id of the ${of}`, labels['chutes/chute-id'], spec.chuteId],
      [`label chutes/version of the ${of}`, labels['chutes/version'], spec.version],
    ]),
    ['label chutes/config-id of the pod', pod.metadata.labels['chutes/config-id'] ?? 'none', spec.configId ?? 'none'],
    ['label chutes/job-id of the pod', pod.metadata.labels['chutes/job-id'] ?? 'none', spec.jobId ?? 'none'],
  ];
}

function envFindings(spec: DeploymentSpec, job: JobShape): Finding[] {
  const { env } = job.spec.template.spec.containers[0];
  const literal = (name: string) => env.find((item) => item.name === name)?.value;
  const findings: Finding[] = [];
  const devices = literal('NVIDIA_VISIBLE_DEVICES');
  const wanted = spec.gpuIds.map(gpuEnvId).join(',');
  if (devices !== wanted) {
    findings.push({
      code: 'gpu-count',
      message: 'NVIDIA_VISIBLE_DEVICES names other GPUs than the annotation gpu-ids',
    });
  }
  for (const [name, port] of [
    ['CHUTES_PORT_PRIMARY', 8000],
    ['CHUTES_PORT_LOGGING', 8001],
  ] as const) {
    const nodePort = spec.ports.find((mapping) => mapping.port === port)?.nodePort;
    if (literal(name) === String(nodePort)) continue;
    findings.push({
      code: 'id-mismatch',
      message: `${name} is ${literal(name)}, the node port of ${port} is ${nodePort}`,
    });
  }
  return findings;
}

function literalToken(job: JobShape): Finding[] {
  const { containers, initContainers } = job.spec.template.spec;
  return [...containers, ...initContainers].some(({ env }) =>
    env.some(({ name, value }) => name === 'CHUTES_LAUNCH_JWT' && value !== undefined),
  )
    ? [{ code: 'token-in-tree', message: 'CHUTES_LAUNCH_JWT has a literal value' }]
    : [];
}

function gpuFindings({ gpuIds }: DeploymentSpec): Finding[] {
  const sorted = gpuIds.every((id, i) => i === 0 || (gpuIds[i - 1] ?? '') < id);
  if (gpuIds.length >= 1 && gpuIds.length <= 8 && sorted) return [];
  return [{ code: 'gpu-count', message: `holds ${gpuIds.length} GPUs; 1 to 8 are allowed, sorted, each once` }];
}

/** Deployments of one chute share the ConfigMap, so its name is of the chute and version alone. */
function codeFindings(documents: readonly unknown[], { chuteId, version }: DeploymentSpec): Finding[] {
  const maps = documents.filter((document) => kindOf(document) === 'ConfigMap');
  if (maps.length === 0) return [];
  const wanted = `chute-code-${uuid5(`${chuteId}::${version}`)}`;
  return maps
    .filter((map) => configMapShape.safeParse(map).data?.metadata.name !== wanted)
    .map(() => ({ code: 'id-mismatch', message: `a ConfigMap is not called ${wanted} in namespace chutes` }));
}

/** All of the above that does not depend on anything but the file. */
export function findMisfits(
  path: string,
  documents: readonly unknown[],
  spec: DeploymentSpec,
  job: JobShape,
  service: ServiceShape,
): Finding[] {
  const misfits = idPlaces(path, spec, job, service)
    .filter(([, found, expected]) => found !== expected)
    .map(
      ([place, found, expected]): Finding => ({
        code: 'id-mismatch',
        message: `${place} is ${found}, expected ${expected}`,
      }),
    );
  return [
    ...literalToken(job),
    ...misfits,
    ...gpuFindings(spec),
    ...envFindings(spec, job),
    ...codeFindings(documents, spec),
  ];
}
