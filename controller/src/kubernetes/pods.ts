// A chute pod as the cluster reports it, reduced to what the miner decides by. Lists and watches give the same object in two forms
// (times as Date or as text); both are read here.

import { z } from 'zod';
import type { ObservedPod } from '../domain/deployment.ts';
import { isGpuId, isUuid } from '../domain/ids.ts';

/** Pods of chutes (protocol.md 9). */
export const chuteSelector = 'chutes/chute=true';

const ended = z.object({ reason: z.string().nullish(), exitCode: z.number().nullish() });
const containerStatus = z.object({
  state: z.object({ waiting: ended.nullish(), terminated: ended.nullish() }).nullish(),
});

const podSchema = z.object({
  metadata: z.object({
    name: z.string().min(1),
    labels: z.record(z.string(), z.string()),
    creationTimestamp: z.coerce.date(),
    deletionTimestamp: z.coerce.date().nullish(),
  }),
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        env: z.array(z.object({ name: z.string(), value: z.string().nullish() })).nullish(),
      }),
    ),
  }),
  status: z
    .object({
      phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']).catch('Unknown'),
      reason: z.string().nullish(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
      initContainerStatuses: z.array(containerStatus).nullish(),
      containerStatuses: z.array(containerStatus).nullish(),
    })
    .nullish(),
});

function gpuIdsOf(env: ReadonlyMap<string, string>): string[] {
  const lists = [env.get('CHUTES_NVIDIA_DEVICES'), env.get('NVIDIA_VISIBLE_DEVICES')].join(',');
  const ids = lists.split(',').map((device) => device.trim().replace(/^GPU-/, '').replaceAll('-', ''));
  return [...new Set(ids.filter(isGpuId))].sort();
}

function nodePortsOf(env: ReadonlyMap<string, string>): number[] {
  return [...env]
    .filter(([name]) => name.startsWith('CHUTES_PORT_'))
    .map(([, port]) => Number(port))
    .filter((port) => Number.isInteger(port) && port > 0);
}

type Status = z.infer<typeof podSchema>['status'];

/** The first container that waits or ended badly, init containers first; then what the pod says of itself (`Evicted`). */
function detailOf(status: Status): string | undefined {
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const { state } of containers) {
    if (state?.terminated && state.terminated.exitCode !== 0) return state.terminated.reason ?? 'Error';
    // The main container waits for the init container without a fault of its own.
    if (state?.waiting?.reason && state.waiting.reason !== 'PodInitializing') return state.waiting.reason;
  }
  return status?.reason ?? undefined;
}

/** Throws when it is no pod of a deployment (label `chutes/deployment-id` with a UUID) or has no form that can be read. */
export function parsePod(server: string, object: unknown): ObservedPod {
  const { metadata, spec, status } = podSchema.parse(object);
  const deploymentId = metadata.labels['chutes/deployment-id'] ?? '';
  if (!isUuid(deploymentId)) throw new Error(`label chutes/deployment-id is "${deploymentId}", but it must be a UUID`);
  const container = spec.containers.find(({ name }) => name === 'chute') ?? spec.containers[0];
  const env = new Map((container?.env ?? []).map(({ name, value }) => [name, value ?? '']));
  return {
    server,
    podName: metadata.name,
    deploymentId,
    configId: metadata.labels['chutes/config-id'],
    gpuIds: gpuIdsOf(env),
    nodePorts: nodePortsOf(env),
    phase: status?.phase ?? 'Pending',
    ready: status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    terminating: metadata.deletionTimestamp != null,
    detail: detailOf(status),
    createdAt: metadata.creationTimestamp.getTime(),
  };
}
