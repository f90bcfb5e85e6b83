// What the API server does to an object before it is stored: names, defaults, node ports, and what may not change afterwards.

import { nodePortRange } from '@miner/controller/domain/nodeport.ts';
import { z } from 'zod';
import { ApiError, type KubeObject, kubeTime, type ObjectInput, type ObjectMeta } from './kube.ts';
import { contains } from './patch.ts';
import { podSpecFault } from './podspec.ts';
import type { ObjectStore, Resource } from './store.ts';

export const namespace = 'chutes';

export const kinds: Record<Resource, { apiVersion: string; kind: string }> = {
  nodes: { apiVersion: 'v1', kind: 'Node' },
  pods: { apiVersion: 'v1', kind: 'Pod' },
  services: { apiVersion: 'v1', kind: 'Service' },
  secrets: { apiVersion: 'v1', kind: 'Secret' },
  configmaps: { apiVersion: 'v1', kind: 'ConfigMap' },
  jobs: { apiVersion: 'batch/v1', kind: 'Job' },
};

export const servicePorts = z.array(
  z.looseObject({
    name: z.string().optional(),
    port: z.int().min(1).max(65535),
    protocol: z.enum(['TCP', 'UDP']).default('TCP'),
    targetPort: z.union([z.int(), z.string()]).optional(),
    nodePort: z.int().optional(),
  }),
);
export const serviceSpec = z.looseObject({
  type: z.string().default('ClusterIP'),
  selector: z.record(z.string(), z.string()).default({}),
  ports: servicePorts.min(1),
});
export const jobSpec = z.looseObject({
  suspend: z.boolean().optional(),
  backoffLimit: z.int().min(0).default(6),
  ttlSecondsAfterFinished: z.int().min(0).optional(),
  template: z.looseObject({
    metadata: z
      .looseObject({
        labels: z.record(z.string(), z.string()).optional(),
        annotations: z.record(z.string(), z.string()).optional(),
      })
      .optional(),
    spec: z.looseObject({
      restartPolicy: z.enum(['Never', 'OnFailure']),
      containers: z.array(z.looseObject({ name: z.string(), image: z.string() })).min(1),
    }),
  }),
});

export interface AdmissionContext {
  store: ObjectStore;
  now: number;
  random: () => number;
  newUid: () => string;
  /** Told when two Services want the same node port. */
  onPortConflict: (nodePort: number, name: string, other: string) => void;
}

function parseSpec<T>(schema: z.ZodType<T>, kind: string, object: ObjectInput): T {
  const parsed = schema.safeParse(object.spec);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = ['spec', ...(issue?.path ?? [])].join('.');
  throw new ApiError('Invalid', `${kind} "${object.metadata.name}" is invalid: ${path}: ${issue?.message}`);
}

/** Node ports held by the Services of a member, with the Service's name; TCP and UDP share the numbers. */
export function nodePortsInUse(store: ObjectStore): Map<number, string> {
  const used = new Map<number, string>();
  for (const service of store.list('services')) {
    for (const { nodePort } of serviceSpec.parse(service.spec).ports) {
      if (nodePort) used.set(nodePort, service.metadata.name);
    }
  }
  return used;
}

function admitService(object: ObjectInput, previous: KubeObject | undefined, context: AdmissionContext): unknown {
  const spec = parseSpec(serviceSpec, 'Service', object);
  const name = String(object.metadata.name);
  const used = nodePortsInUse(context.store);
  const before = previous ? serviceSpec.parse(previous.spec).ports : [];
  const own = new Set<string>();
  const ports = spec.ports.map((port) => {
    if (spec.type !== 'NodePort') return port;
    const kept = before.find((other) => other.port === port.port && other.protocol === port.protocol)?.nodePort;
    let nodePort = port.nodePort ?? kept;
    if (nodePort === undefined) {
      // Automatic allocation prefers the upper part of the range (kubernetes.md 0.3).
      nodePort = 30086;
      while (used.has(nodePort) || own.has(`TCP:${nodePort}`)) nodePort += 1;
    }
    const invalid = `Service "${name}" is invalid: spec.ports.nodePort: Invalid value: ${nodePort}`;
    if (nodePort < nodePortRange.first || nodePort > nodePortRange.last) {
      throw new ApiError('Invalid', `${invalid}: not in ${nodePortRange.first}-${nodePortRange.last}`);
    }
    const other = used.get(nodePort);
    const key = `${port.protocol}:${nodePort}`;
    if ((other !== undefined && other !== name) || own.has(key)) {
      context.onPortConflict(nodePort, name, other ?? name);
      throw new ApiError('Invalid', `${invalid}: provided port is already allocated`);
    }
    own.add(key);
    return { ...port, targetPort: port.targetPort ?? port.port, nodePort };
  });
  const address = `10.43.${Math.floor(context.random() * 254) + 1}.${Math.floor(context.random() * 254) + 1}`;
  const clusterIP = previous ? (previous.spec as { clusterIP?: string }).clusterIP : address;
  return { ...spec, ports, clusterIP, clusterIPs: [clusterIP] };
}

function checkPodSpec(spec: unknown, label: string): void {
  const fault = podSpecFault(spec);
  if (fault) throw new ApiError('Invalid', `${label} is invalid: spec: ${fault}`);
}

function admitJob(object: ObjectInput, previous: KubeObject | undefined, uid: string): unknown {
  const spec = parseSpec(jobSpec, 'Job', object);
  if (previous) {
    const old = previous.spec as z.infer<typeof jobSpec>;
    if (!contains(old.template, spec.template)) {
      throw new ApiError('Invalid', `Job "${object.metadata.name}" is invalid: spec.template: field is immutable`);
    }
    return { ...spec, template: old.template };
  }
  checkPodSpec(spec.template.spec, `Job "${object.metadata.name}"`);
  const owner = { 'batch.kubernetes.io/controller-uid': uid, 'controller-uid': uid };
  const name = { 'batch.kubernetes.io/job-name': object.metadata.name, 'job-name': object.metadata.name };
  const labels = { ...spec.template.metadata?.labels, ...owner, ...name };
  return {
    parallelism: 1,
    completions: 1,
    ...spec,
    selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
    template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
  };
}

/** Values of a Secret are kept base64 encoded; `stringData` is the convenience of writing them plainly. */
function admitSecret(object: ObjectInput): ObjectInput {
  const { stringData, ...rest } = object;
  const plain = z.record(z.string(), z.string()).default({}).parse(stringData);
  const data = z.record(z.string(), z.string()).nullish().parse(object.data) ?? {};
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(value).toString('base64');
  return { type: 'Opaque', ...rest, data };
}

/** The object as it will be stored. Throws ApiError Invalid or BadRequest. */
export function admit(
  resource: Resource,
  input: ObjectInput,
  previous: KubeObject | undefined,
  context: AdmissionContext,
): KubeObject {
  const { apiVersion, kind } = kinds[resource];
  if ((input.kind ?? kind) !== kind || (input.apiVersion ?? apiVersion) !== apiVersion) {
    throw new ApiError('BadRequest', `expected ${apiVersion} ${kind}, got ${input.apiVersion} ${input.kind}`);
  }
  const suffix = context.random().toString(36).slice(2, 7).padEnd(5, 'x');
  const name = input.metadata.name ?? (input.metadata.generateName ? `${input.metadata.generateName}${suffix}` : '');
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) || name.length > 253) {
    throw new ApiError('Invalid', `${kind} "${name}" is invalid: metadata.name must be a lower-case DNS name`);
  }
  const uid = previous?.metadata.uid ?? context.newUid();
  const { labels, annotations, ...sent } = input.metadata;
  const metadata: ObjectMeta = {
    ...(sent as Partial<ObjectMeta>),
    name,
    uid,
    resourceVersion: previous?.metadata.resourceVersion ?? '',
    creationTimestamp: previous?.metadata.creationTimestamp ?? kubeTime(context.now),
    ...(resource === 'nodes' ? {} : { namespace }),
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
  };
  // Deletion is a verb of its own: neither create nor update can start or stop it.
  delete metadata.deletionTimestamp;
  if (previous?.metadata.deletionTimestamp) metadata.deletionTimestamp = previous.metadata.deletionTimestamp;
  const named: ObjectInput = { ...input, metadata: { ...input.metadata, name } };
  const body = resource === 'secrets' ? admitSecret(named) : named;
  const object: KubeObject = { ...body, apiVersion, kind, metadata };
  if (resource === 'services') object.spec = admitService(named, previous, context);
  if (resource === 'pods') checkPodSpec(named.spec, `Pod "${name}"`);
  if (resource === 'jobs') object.spec = admitJob(named, previous, uid);
  // Status is written by controllers only.
  if (previous) object.status = previous.status;
  else if (resource === 'services' || resource === 'jobs') object.status = {};
  return object;
}
