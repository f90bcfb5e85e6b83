// What a kubelet follows of a real API, as the store that the simulator's kubelet reads; what that one writes goes back to the API, in order.

import type { KubeObject as StoredObject } from '@miner/simulator/cluster/kube.ts';
import type { Member } from '@miner/simulator/cluster/member.ts';
import type { ObjectStore, Resource } from '@miner/simulator/cluster/store.ts';
import { type Kube, KubeError, type KubeObject } from './kube.ts';

export interface MirrorOptions {
  kube: Kube;
  store: ObjectStore;
  node: string;
  /** Only pods with one of these labels. */
  labels: readonly string[];
  onError: (error: unknown) => void;
}

export interface Mirror {
  /** Removing a pod from it removes it from the API. */
  store: ObjectStore;
  setStatus: Member['setStatus'];
  start(): void;
  stop(): void;
}

const namespace = 'chutes';
const followed: readonly (Resource & ('pods' | 'services' | 'secrets' | 'configmaps'))[] = [
  'secrets',
  'configmaps',
  'services',
  'pods',
];
const retryMs = 300;

export function mirrorOf({ kube, store, node, labels, onError }: MirrorOptions): Mirror {
  const stops: (() => void)[] = [];
  const removed = new Set<string>();
  const writes = new Map<string, Promise<void>>();
  let stopped = true;

  function isOurs({ metadata, spec }: KubeObject): boolean {
    const { nodeName } = spec as { nodeName?: string };
    return nodeName === node && labels.some((label) => label in (metadata.labels ?? {}));
  }

  function take(resource: Resource, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const { name, uid = '' } = object.metadata;
    if (resource === 'pods' && !isOurs(object)) return;
    if (type === 'DELETED') removed.delete(uid);
    else if (removed.has(uid)) return;
    const known = store.get(resource, name);
    const stored = object as unknown as StoredObject;
    if (type === 'DELETED') known && store.remove(resource, name);
    else if (known) store.update(resource, stored);
    else store.create(resource, stored);
  }

  /** One after the other for each pod; until it is taken or the pod is gone. */
  function write(name: string, run: () => Promise<unknown>): void {
    const before = writes.get(name) ?? Promise.resolve();
    const next = before.then(async () => {
      while (!stopped) {
        try {
          await run();
          return;
        } catch (error) {
          if (error instanceof KubeError && [404, 409].includes(error.status)) return;
          if (error instanceof KubeError && error.status < 500) return onError(error);
          await new Promise((resolve) => setTimeout(resolve, retryMs));
        }
      }
    });
    writes.set(name, next);
    void next.finally(() => writes.get(name) === next && writes.delete(name));
  }

  return {
    store: {
      ...store,
      get revision() {
        return store.revision;
      },
      remove(resource, name) {
        const object = store.remove(resource, name);
        if (resource !== 'pods') return object;
        const { uid } = object.metadata;
        removed.add(uid);
        const options = { gracePeriodSeconds: 0, preconditions: { uid } };
        write(name, () => kube.delete('v1/pods', name, namespace, options));
        return object;
      },
    },
    setStatus(resource, name, status) {
      const object = store.get(resource, name);
      if (!object) return;
      store.update(resource, { ...object, status });
      write(name, () =>
        kube.patch('v1/pods', name, { metadata: { uid: object.metadata.uid }, status }, namespace, 'status'),
      );
    },
    start() {
      stopped = false;
      for (const resource of followed)
        stops.push(kube.watch(`v1/${resource}`, namespace, (type, object) => take(resource, type, object)));
    },
    stop() {
      stopped = true;
      for (const stop of stops.splice(0)) stop();
    },
  };
}
