// The objects of one member cluster with one revision counter, and the recent changes of each resource for watches to resume from.
// Knows nothing of what the objects mean; admission.ts and the controllers do.

import { ApiError, type KubeObject, notFound } from './kube.ts';
import type { Matcher } from './selector.ts';

export type Resource = 'nodes' | 'pods' | 'services' | 'secrets' | 'configmaps' | 'jobs';
export const resources: readonly Resource[] = ['nodes', 'pods', 'services', 'secrets', 'configmaps', 'jobs'];

export interface Change {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  resource: Resource;
  object: KubeObject;
  previous: KubeObject | undefined;
  revision: number;
}

export interface StoreSnapshot {
  revision: number;
  objects: Partial<Record<Resource, KubeObject[]>>;
}

export interface ObjectStore {
  readonly revision: number;
  get(resource: Resource, name: string): KubeObject | undefined;
  list(resource: Resource, matches?: Matcher): KubeObject[];
  /** Rejects an existing name with AlreadyExists. The revision in the metadata is set here. */
  create(resource: Resource, object: KubeObject): KubeObject;
  /** Replace; with `expected` only if that is still the stored revision (Conflict). Missing: NotFound. */
  update(resource: Resource, object: KubeObject, expected?: string): KubeObject;
  /** The object as it was, with the revision of its removal. Missing: NotFound. */
  remove(resource: Resource, name: string): KubeObject;
  /** Changes of one resource after a revision; throws ApiError Expired when they are no longer all known. */
  since(resource: Resource, revision: number): Change[];
  /** Called after each change, in order. Returns the way to stop. */
  onChange(listener: (change: Change) => void): () => void;
  /** Forget the recent changes, so that every watch has to list again. */
  compact(): void;
  snapshot(): StoreSnapshot;
}

const historyLength = 1000;

/** Resumes from `snapshot`; watches from before a restart have to list again. */
export function createStore(snapshot?: StoreSnapshot): ObjectStore {
  let revision = snapshot?.revision ?? 1;
  const objects = new Map<Resource, Map<string, KubeObject>>();
  const history = new Map<Resource, Change[]>();
  const horizon = new Map<Resource, number>();
  const listeners = new Set<(change: Change) => void>();
  const undelivered: Change[] = [];
  let delivering = false;
  for (const resource of resources) {
    objects.set(resource, new Map((snapshot?.objects[resource] ?? []).map((object) => [object.metadata.name, object])));
    history.set(resource, []);
    horizon.set(resource, snapshot ? revision : 0);
  }
  const kind = (resource: Resource) => objects.get(resource) ?? new Map<string, KubeObject>();

  /** A listener may write: its change is delivered to all after the one at hand, so that everybody sees the same order. */
  function deliver(change: Change): void {
    undelivered.push(change);
    if (delivering) return;
    delivering = true;
    try {
      for (let next = undelivered.shift(); next; next = undelivered.shift()) {
        for (const listener of listeners) listener(next);
      }
    } finally {
      delivering = false;
    }
  }

  function record(type: Change['type'], resource: Resource, object: KubeObject, previous?: KubeObject): KubeObject {
    revision += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
    if (type === 'DELETED') kind(resource).delete(object.metadata.name);
    else kind(resource).set(object.metadata.name, stored);
    const change: Change = { type, resource, object: stored, previous, revision };
    const changes = history.get(resource) ?? [];
    changes.push(change);
    if (changes.length > historyLength) horizon.set(resource, changes.shift()?.revision ?? revision);
    deliver(change);
    return stored;
  }

  return {
    get revision() {
      return revision;
    },
    get: (resource, name) => kind(resource).get(name),
    list(resource, matches) {
      const all = [...kind(resource).values()];
      return matches ? all.filter(matches) : all;
    },
    create(resource, object) {
      const { name } = object.metadata;
      if (kind(resource).has(name)) throw new ApiError('AlreadyExists', `${resource} "${name}" already exists`);
      return record('ADDED', resource, object);
    },
    update(resource, object, expected) {
      const { name } = object.metadata;
      const previous = kind(resource).get(name);
      if (!previous) throw notFound(resource, name);
      if (expected !== undefined && expected !== previous.metadata.resourceVersion) {
        throw new ApiError(
          'Conflict',
          `Operation cannot be fulfilled on ${resource} "${name}": the object has been modified`,
        );
      }
      return record('MODIFIED', resource, object, previous);
    },
    remove(resource, name) {
      const previous = kind(resource).get(name);
      if (!previous) throw notFound(resource, name);
      return record('DELETED', resource, previous, previous);
    },
    since(resource, from) {
      if (from < (horizon.get(resource) ?? 0) || from > revision) {
        throw new ApiError('Expired', `too old resource version: ${from} (${revision})`);
      }
      return (history.get(resource) ?? []).filter((change) => change.revision > from);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    compact() {
      revision += 1;
      for (const resource of resources) {
        history.set(resource, []);
        horizon.set(resource, revision);
      }
    },
    snapshot() {
      return {
        revision,
        objects: Object.fromEntries(resources.map((resource) => [resource, [...kind(resource).values()]])),
      };
    },
  };
}
