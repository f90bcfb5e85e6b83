// What the kubelet reads from a pod: containers, environment with its Secrets, the volumes it needs, what it asks of the node.

import { messageOf } from '@miner/controller/domain/errors.ts';
import { quantityToGiB } from '@miner/controller/domain/sizing.ts';
import { z } from 'zod';
import type { KubeObject } from './kube.ts';
import type { ObjectStore } from './store.ts';

const keyRef = z.looseObject({ name: z.string(), key: z.string(), optional: z.boolean().optional() });
const envEntry = z.looseObject({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.looseObject({ secretKeyRef: keyRef.optional(), configMapKeyRef: keyRef.optional() }).optional(),
});
const quantities = z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({});
const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z.array(envEntry).default([]),
  resources: z.looseObject({ requests: quantities, limits: quantities }).default({ requests: {}, limits: {} }),
});
const podSpec = z.looseObject({
  nodeName: z.string().optional(),
  restartPolicy: z.string().default('Always'),
  terminationGracePeriodSeconds: z.number().default(30),
  enableServiceLinks: z.boolean().default(true),
  initContainers: z.array(container).default([]),
  containers: z.array(container).min(1),
  volumes: z
    .array(
      z.looseObject({
        name: z.string(),
        configMap: z.looseObject({ name: z.string(), optional: z.boolean().optional() }).optional(),
      }),
    )
    .default([]),
});
export type PodSpec = z.infer<typeof podSpec>;
export type Container = PodSpec['containers'][number];

/** Why no kubelet could run this pod spec; undefined when it could. */
export function podSpecFault(spec: unknown): string | undefined {
  const parsed = podSpec.safeParse(spec);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return `${issue?.path.join('.')}: ${issue?.message}`;
  }
  try {
    return Object.values(requestsOf(parsed.data)).some(Number.isNaN) ? 'a resource quantity is no number' : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Throws a ZodError for what no API server would have let in. */
export function readPodSpec(pod: KubeObject): PodSpec {
  return podSpec.parse(pod.spec);
}

/** The container that the pod is about: its first. */
export function mainContainer(spec: PodSpec): Container {
  const [first] = spec.containers;
  if (!first) throw new Error('a pod has at least one container');
  return first;
}

export interface Environment {
  values: Record<string, string>;
  /** Why the container cannot be created yet, in the kubelet's words. */
  missing: string | undefined;
}

/** Environment of a container, Secrets and ConfigMaps resolved. */
export function environmentOf({ env }: Container, store: ObjectStore): Environment {
  const values: Record<string, string> = {};
  for (const entry of env) {
    const secret = entry.valueFrom?.secretKeyRef;
    const config = entry.valueFrom?.configMapKeyRef;
    const ref = secret ?? config;
    if (!ref) {
      values[entry.name] = entry.value ?? '';
      continue;
    }
    const kind = secret ? 'secret' : 'configmap';
    const object = store.get(secret ? 'secrets' : 'configmaps', ref.name);
    const value = (object?.data as Record<string, string> | undefined)?.[ref.key];
    if (value === undefined) {
      if (ref.optional) continue;
      return {
        values,
        missing: object
          ? `couldn't find key ${ref.key} in ${kind} chutes/${ref.name}`
          : `${kind} "${ref.name}" not found`,
      };
    }
    values[entry.name] = secret ? Buffer.from(value, 'base64').toString('utf8') : value;
  }
  return { values, missing: undefined };
}

/** The first ConfigMap volume that does not exist yet. */
export function missingVolume(spec: PodSpec, store: ObjectStore): string | undefined {
  return spec.volumes
    .flatMap(({ configMap }) => (configMap && !configMap.optional ? [configMap.name] : []))
    .find((name) => !store.get('configmaps', name));
}

/** `GPU-` and a dashed uuid, several with commas, as 32 hex digits each (protocol.md trap 22). */
export function gpuIdsIn(list: string): string[] {
  return list
    .split(',')
    .map((id) => id.trim().replace(/^GPU-/, '').replaceAll('-', ''))
    .filter((id) => id !== '');
}

/** GPU ids of a pod from its literal environment: all that is known before its Secrets are. */
export function visibleGpus(spec: PodSpec): string[] {
  const env = mainContainer(spec).env;
  const list =
    env.find(({ name }) => name === 'CHUTES_NVIDIA_DEVICES') ??
    env.find(({ name }) => name === 'NVIDIA_VISIBLE_DEVICES');
  const ids = gpuIdsIn(list?.value ?? '');
  return ids.includes('all') || ids.includes('none') || ids.includes('void') ? [] : ids;
}

export interface Requests {
  cpu: number;
  memoryGiB: number;
  diskGb: number;
  gpus: number;
}

function diskGb(quantity: string): number {
  const decimal = /^(\d+(?:\.\d+)?)(k|M|G|T)$/.exec(quantity);
  if (decimal) return Number(decimal[1]) * { k: 1e-6, M: 1e-3, G: 1, T: 1e3 }[decimal[2] as 'k' | 'M' | 'G' | 'T'];
  return (quantityToGiB(quantity) * 1024 ** 3) / 1e9;
}

/** Sum of what the pod's containers request. */
export function requestsOf(spec: PodSpec): Requests {
  const sum: Requests = { cpu: 0, memoryGiB: 0, diskGb: 0, gpus: 0 };
  for (const { resources } of spec.containers) {
    const requests = { ...resources.limits, ...resources.requests };
    const cpu = requests.cpu ?? '0';
    sum.cpu += cpu.endsWith('m') ? Number(cpu.slice(0, -1)) / 1000 : Number(cpu);
    sum.memoryGiB += quantityToGiB(requests.memory ?? '0');
    sum.diskGb += diskGb(requests['ephemeral-storage'] ?? '0');
    sum.gpus += Number(requests['nvidia.com/gpu'] ?? 0);
  }
  return sum;
}
