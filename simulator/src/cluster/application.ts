// One Argo CD Application: the files of `chutes/<server>` against the objects of that member. Applies, prunes, heals; never changes
// a Job's pod template.

import { z } from 'zod';
import { namespace } from './admission.ts';
import type { ManifestFile, ServerTree } from './gittree.ts';
import { inspectFile } from './honesty.ts';
import { ApiError, type KubeObject } from './kube.ts';
import { deletionDeadline, type Member } from './member.ts';
import { contains, mergePatch } from './patch.ts';
import type { Ledger } from './record.ts';
import type { Resource } from './store.ts';

export interface SyncResult {
  sync: 'Synced' | 'OutOfSync' | 'Unknown';
  /** What could not be done, one sentence each. */
  failures: string[];
}

const trackingId = 'argocd.argoproj.io/tracking-id';

/** Kinds that the AppProject allows, in the order in which Argo CD applies them. */
const allowed: [kind: string, apiVersion: string, resource: Resource][] = [
  ['ConfigMap', 'v1', 'configmaps'],
  ['Service', 'v1', 'services'],
  ['Job', 'batch/v1', 'jobs'],
];
export const managedResources: ReadonlySet<Resource> = new Set(allowed.map(([, , resource]) => resource));

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});
type Manifest = z.infer<typeof manifest>;

export function applicationName(server: string): string {
  return `chutes-${server}`;
}

function track(object: Manifest, server: string): Manifest {
  const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : '';
  const id = `${applicationName(server)}:${group}/${object.kind}:${namespace}/${object.metadata.name}`;
  const annotations = { ...object.metadata.annotations, [trackingId]: id };
  return { ...object, metadata: { ...object.metadata, namespace, annotations } };
}

export function isManaged(object: KubeObject, server: string): boolean {
  return object.metadata.annotations?.[trackingId]?.startsWith(`${applicationName(server)}:`) ?? false;
}

export interface DesiredState {
  /** Tracked objects by `<resource>/<name>`, in the order of application. */
  objects: ReadonlyMap<string, { resource: Resource; object: Manifest }>;
  failures: string[];
}

/** What the files ask for. Anything the project does not allow is a failure, and then nothing of the Application is applied. */
export function desiredState(server: string, tree: ServerTree | undefined, ledger: Ledger): DesiredState {
  const failures: string[] = [];
  const found: { order: number; resource: Resource; object: Manifest }[] = [];
  const files: ManifestFile[] = [...(tree?.files.values() ?? [])];
  for (const { path, text, documents, error } of files) {
    if (error) failures.push(error);
    inspectFile(
      path,
      text,
      documents.map(({ kind }) => String(kind)),
      ledger,
    );
    for (const document of documents) {
      const parsed = manifest.safeParse(document);
      if (!parsed.success) {
        failures.push(`${path}: ${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`);
        continue;
      }
      const { kind, apiVersion, metadata } = parsed.data;
      const order = allowed.findIndex(([name, version]) => name === kind && version === apiVersion);
      const resource = allowed[order]?.[2];
      if (!resource) failures.push(`${path}: resource ${apiVersion} ${kind} is not permitted in the project`);
      else if ((metadata.namespace ?? namespace) !== namespace) {
        failures.push(`${path}: namespace "${metadata.namespace}" is not permitted in the project`);
      } else found.push({ order, resource, object: track(parsed.data, server) });
    }
  }
  found.sort((a, b) => a.order - b.order);
  const objects = new Map(
    found.map(({ resource, object }) => [`${resource}/${object.metadata.name}`, { resource, object }]),
  );
  return { objects, failures };
}

function applyOne(member: Member, resource: Resource, object: Manifest, ledger: Ledger): string | undefined {
  const { name, labels } = object.metadata;
  const live = member.store.get(resource, name);
  const label = `${object.kind} ${name}`;
  try {
    if (!live) {
      // The pod follows within the call.
      const at = ledger.now();
      member.create(resource, object);
      const deploymentId = labels?.['chutes/deployment-id'];
      if (resource === 'jobs' && deploymentId) ledger.mark(deploymentId, member.server.name, 'syncedAt', at);
    } else if (deletionDeadline(live) !== undefined) {
      return `${label} is being deleted`;
    } else if (!contains(live, object)) {
      member.patch(resource, name, (current) => mergePatch(current, object));
    }
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return `${label}: ${error.message}`;
    throw error;
  }
}

/** Make the member agree with what is desired. */
export function syncApplication(member: Member, desired: DesiredState, ledger: Ledger): SyncResult {
  if (!member.up) return { sync: 'Unknown', failures: [`cluster ${member.server.name} cannot be reached`] };
  if (desired.failures.length > 0) return { sync: 'OutOfSync', failures: [...desired.failures] };
  const failures: string[] = [];
  for (const { resource, object } of desired.objects.values()) {
    const failure = applyOne(member, resource, object, ledger);
    if (failure) failures.push(failure);
  }
  for (const [, , resource] of allowed) {
    for (const live of member.store.list(resource, (object) => isManaged(object, member.server.name))) {
      const { name } = live.metadata;
      if (desired.objects.has(`${resource}/${name}`) || deletionDeadline(live) !== undefined) continue;
      member.remove(resource, name, { propagationPolicy: 'Foreground' });
    }
  }
  ledger.synced();
  return { sync: failures.length === 0 ? 'Synced' : 'OutOfSync', failures };
}

/** Has somebody changed or removed what this Application manages? */
export function hasDrifted(member: Member, desired: DesiredState, resource: Resource, name: string): boolean {
  const want = desired.objects.get(`${resource}/${name}`);
  if (!want) return false;
  const live = member.store.get(resource, name);
  return !live || (deletionDeadline(live) === undefined && !contains(live, want.object));
}
