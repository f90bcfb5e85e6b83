// The rival: Service and Job by calls to the API server, as the upstream miner makes them. In a namespace of its own, where nobody looks:
// neither Argo CD's Applications nor the miner, and KWOK plays the pods.

import type { ControlPlane } from '@miner/e2e/cluster/controlplane.ts';
import type { KubeObject } from '@miner/e2e/cluster/kube.ts';

const namespace = 'direct';

export interface Launch {
  /** Ms from the first call until its pod was there. */
  pod: Promise<number>;
  remove(): Promise<void>;
}

export interface Direct {
  /** Creates what the manifest of a deployment holds; resolves when the Job is made. */
  launch(objects: readonly KubeObject[]): Promise<Launch>;
  stop(): void;
}

interface Template {
  metadata?: { labels?: Record<string, string> };
}

/** Another name, and labels that concern nobody. */
function renamed(object: KubeObject, run: string): KubeObject {
  const labels = { run };
  const metadata = { name: run, namespace, labels };
  if (object.kind === 'Service') {
    const { ports } = object.spec as { ports: { nodePort?: number }[] };
    const spec = { ...(object.spec as object), selector: labels, ports: ports.map(({ nodePort: _, ...port }) => port) };
    return { apiVersion: object.apiVersion, kind: object.kind, metadata, spec };
  }
  const { template, ...spec } = object.spec as { template: Template };
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata,
    spec: { ...spec, template: { ...template, metadata: { ...template.metadata, labels } } },
  };
}

export async function openDirect({ kube }: ControlPlane): Promise<Direct> {
  await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const waiting = new Map<string, (at: number) => void>();
  const stop = kube.watch('v1/pods', namespace, (type, { metadata }) => {
    if (type === 'ADDED') waiting.get(metadata.labels?.run ?? '')?.(performance.now());
  });
  let count = 0;
  return {
    stop,
    async launch(objects) {
      const run = `direct-${Date.now()}-${count++}`;
      const [service, job] = ['Service', 'Job'].map((kind) => objects.find((one) => one.kind === kind));
      if (!service || !job) throw new Error('the manifest has no Service or no Job');
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.set(run, resolve);
      const startedAt = performance.now();
      await kube.create('v1/services', renamed(service, run), namespace);
      await kube.create('batch/v1/jobs', renamed(job, run), namespace);
      const pod = promise.then((at) => {
        waiting.delete(run);
        return at - startedAt;
      });
      async function remove(): Promise<void> {
        await kube.delete('batch/v1/jobs', run, namespace, { propagationPolicy: 'Background' });
        await kube.delete('v1/services', run, namespace);
      }
      return { pod, remove };
    },
  };
}
