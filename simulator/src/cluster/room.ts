// Room on a node: what the pods that are not finished request, against what the node has.

import type { KubeObject } from './kube.ts';
import type { Member } from './member.ts';
import { readPodSpec, requestsOf } from './podspec.ts';

export function isFinished(pod: KubeObject): boolean {
  return ['Failed', 'Succeeded'].includes((pod.status as { phase?: string } | undefined)?.phase ?? '');
}

/** The resource that a new pod is too much for, in the kubelet's words; undefined when it fits beside those that are there. */
export function shortage({ server, store }: Member, pod: KubeObject): string | undefined {
  const sum = { cpu: 0, memoryGiB: 0, diskGb: 0, gpus: 0 };
  for (const other of store.list('pods', (each) => !isFinished(each) || each === pod)) {
    const requests = requestsOf(readPodSpec(other));
    for (const key of ['cpu', 'memoryGiB', 'diskGb', 'gpus'] as const) sum[key] += requests[key];
  }
  if (sum.cpu > server.cpus) return 'cpu';
  if (sum.memoryGiB > server.memoryGiB) return 'memory';
  if (sum.diskGb > server.diskGb) return 'ephemeral-storage';
  return sum.gpus > server.gpuCount ? 'nvidia.com/gpu' : undefined;
}
