// GPU servers for the figures of Argo CD: nodes that KWOK plays, many on one real control plane, and a watch that tells when their Jobs and
// pods come and go.

import type { ControlPlane } from '@miner/e2e/cluster/controlplane.ts';
import type { KubeObject } from '@miner/e2e/cluster/kube.ts';
import { playedNode, startKwok } from '@miner/e2e/cluster/kwok.ts';
import type { Process } from '@miner/e2e/cluster/process.ts';
import type { Tools } from '@miner/e2e/cluster/tools.ts';

const namespace = 'chutes';
const capacity = { cpu: '256', memory: '4096Gi', pods: '250', 'ephemeral-storage': '100Ti', 'nvidia.com/gpu': '16' };

/** Namespace, runtime class and nodes; pods of Jobs run until they are deleted. Resolves with the player. */
export async function playServers(plane: ControlPlane, tools: Tools, names: readonly string[]): Promise<Process> {
  const { kube } = plane;
  await kube.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'nvidia' }, handler: 'nvidia' },
  );
  await Promise.all(
    names.map(async (name) => {
      const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
      await kube.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels, annotations: playedNode } });
      await kube.patch('v1/nodes', name, { status: { capacity, allocatable: capacity } }, undefined, 'status');
    }),
  );
  return startKwok({ plane, tools, jobsRun: true });
}

/** `ending`: its Job is deleted; how long the pod takes to end is the node's. */
export type Moment = 'job' | 'pod' | 'ending';

export interface Arrivals {
  /** When it was seen, `performance.now()`; waits for it at most `timeoutMs`. */
  at(moment: Moment, deploymentId: string, timeoutMs?: number): Promise<number>;
  /** When it was seen, if it was. */
  seen(moment: Moment, deploymentId: string): number | undefined;
  /** Jobs that are there. */
  jobs(): number;
  stop(): void;
}

const patienceMs = 120_000;

/** Watches Jobs and pods of all chutes; a deployment that comes again needs another id. */
export function watchArrivals(planes: readonly ControlPlane[]): Arrivals {
  const moments = new Map<string, number>();
  const waiting = new Map<string, ((at: number) => void)[]>();
  const present = new Set<string>();

  function note(moment: Moment, id: string): void {
    const key = `${moment} ${id}`;
    if (moments.has(key)) return;
    const now = performance.now();
    moments.set(key, now);
    for (const resolve of waiting.get(key) ?? []) resolve(now);
    waiting.delete(key);
  }

  const idOf = ({ metadata }: KubeObject) => metadata.labels?.['chutes/deployment-id'];

  function onJob(type: string, job: KubeObject): void {
    const id = idOf(job);
    if (id === undefined) return;
    if (type === 'ADDED') {
      present.add(id);
      note('job', id);
    } else if (type === 'DELETED' || job.metadata.deletionTimestamp !== undefined) {
      present.delete(id);
      note('ending', id);
    }
  }

  function onPod(type: string, pod: KubeObject): void {
    const id = idOf(pod);
    if (id !== undefined && type === 'ADDED') note('pod', id);
  }

  const stops = planes.flatMap(({ kube }) => [
    kube.watch('batch/v1/jobs', namespace, onJob),
    kube.watch('v1/pods', namespace, onPod),
  ]);
  return {
    seen: (moment, id) => moments.get(`${moment} ${id}`),
    at(moment, id, timeoutMs = patienceMs) {
      const key = `${moment} ${id}`;
      const known = moments.get(key);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${key}: not seen in ${timeoutMs / 1000} s`)), timeoutMs);
        const found = (at: number) => {
          clearTimeout(timer);
          resolve(at);
        };
        waiting.set(key, [...(waiting.get(key) ?? []), found]);
      });
    },
    jobs: () => present.size,
    stop() {
      for (const stop of stops) stop();
    },
  };
}
