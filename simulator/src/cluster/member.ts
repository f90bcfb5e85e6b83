// One member cluster: a GPU server with its objects, its node, its caches, and the verbs of its API. Controllers and the kubelet
// act on it from outside; whether it is up is decided in cluster.ts.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { uuid5 } from '@miner/controller/domain/ids.ts';
import { defaultSizes, type ProofSizes } from '../refc1.ts';
import { admit, kinds, namespace } from './admission.ts';
import { type Claims, openClaims } from './claims.ts';
import { devicesOf, type SimulatedDevice, vramBytes } from './devices.ts';
import { ApiError, type KubeObject, kubeTime, notFound, objectInput } from './kube.ts';
import type { CacheState } from './launch-times.ts';
import type { SimulatedServer } from './servers.ts';
import { createStore, type ObjectStore, type Resource, type StoreSnapshot } from './store.ts';

export interface DeleteOptions {
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan' | undefined;
  gracePeriodSeconds?: number | undefined;
}

export interface Member {
  readonly server: SimulatedServer;
  readonly devices: readonly SimulatedDevice[];
  readonly proofSizes: ProofSizes;
  readonly claims: Claims;
  readonly store: ObjectStore;
  /** Images and model weights on its disk; they outlive a crash. */
  cache: CacheState;
  /** False while the server is switched off. */
  up: boolean;
  create(resource: Resource, input: unknown): KubeObject;
  /** Replace the object; a `resourceVersion` in it must be the stored one. */
  replace(resource: Resource, name: string, input: unknown): KubeObject;
  patch(resource: Resource, name: string, change: (object: KubeObject) => unknown): KubeObject;
  /** Pods and foreground-deleted Jobs stay, marked with a deletion time, until their controller lets them go. */
  remove(resource: Resource, name: string, options?: DeleteOptions): KubeObject;
  /** Written by controllers: only the status changes. Nothing happens when the object is gone or already says so. */
  setStatus(resource: Resource, name: string, status: unknown): void;
}

export interface MemberContext {
  /** Amount of proof work; the validator must be set to the same. Default: refc1's. */
  proofSizes?: ProofSizes | undefined;
  /** Default: kept in memory. */
  claims?: Claims | undefined;
  clock: Clock;
  random: () => number;
  onPortConflict: (server: string, nodePort: number, name: string, other: string) => void;
  saved?: { store: StoreSnapshot; cache: CacheState; up: boolean } | undefined;
}

/** The node as k3s, the device plugin and GPU feature discovery describe it (kubernetes.md 7). */
function nodeOf(server: SimulatedServer, device: SimulatedDevice | undefined, now: number): KubeObject {
  const uid = uuid5(`node::${server.name}::${server.gpuIds[0] ?? ''}`);
  const capacity = {
    cpu: String(server.cpus),
    memory: `${server.memoryGiB * 1024 * 1024}Ki`,
    'ephemeral-storage': `${server.diskGb * 1_000_000}k`,
    pods: '110',
    'nvidia.com/gpu': String(server.gpuCount),
  };
  const time = kubeTime(now);
  return {
    ...kinds.nodes,
    metadata: {
      name: server.name,
      uid,
      resourceVersion: '',
      creationTimestamp: time,
      labels: {
        'kubernetes.io/hostname': server.name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'node.kubernetes.io/instance-type': 'k3s',
        'node-role.kubernetes.io/control-plane': 'true',
        'chutes/external-ip': server.ip,
        'nvidia.com/gpu.present': 'true',
        'nvidia.com/gpu.count': String(server.gpuCount),
        'nvidia.com/gpu.memory': String(Math.floor(vramBytes(server.gpuShortRef) / 1024 ** 2)),
        'nvidia.com/gpu.product': (device?.name ?? 'none').replaceAll(/[^A-Za-z0-9.-]/g, '-'),
      },
    },
    spec: { podCIDR: '10.42.0.0/24' },
    status: {
      capacity,
      allocatable: capacity,
      addresses: [
        { type: 'InternalIP', address: server.ip },
        { type: 'ExternalIP', address: server.ip },
        { type: 'Hostname', address: server.name },
      ],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'kubelet is posting ready status',
          lastHeartbeatTime: time,
          lastTransitionTime: time,
        },
      ],
      nodeInfo: { kubeletVersion: 'v1.33.1+k3s1', operatingSystem: 'linux', architecture: 'amd64' },
    },
  };
}

function read(input: unknown) {
  const parsed = objectInput.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ApiError('BadRequest', `the object cannot be read: ${issue?.path.join('.')}: ${issue?.message}`);
}

export function createMember(server: SimulatedServer, context: MemberContext): Member {
  const { clock, random, saved } = context;
  const store = createStore(saved?.store);
  const devices = devicesOf(server.gpuShortRef, server.gpuIds);
  if (!store.get('nodes', server.name)) store.create('nodes', nodeOf(server, devices[0], clock.now()));
  const admission = () => ({
    store,
    now: clock.now(),
    random,
    newUid: () => uuid5(`${server.name}::${store.revision}::${random()}`),
    onPortConflict: (nodePort: number, name: string, other: string) =>
      context.onPortConflict(server.name, nodePort, name, other),
  });

  function existing(resource: Resource, name: string): KubeObject {
    const object = store.get(resource, name);
    if (!object) throw notFound(resource, name);
    return object;
  }

  function markDeleted(resource: Resource, object: KubeObject, graceSeconds: number): KubeObject {
    const deadline = kubeTime(clock.now() + graceSeconds * 1000);
    const { deletionTimestamp } = object.metadata;
    if (deletionTimestamp && deletionTimestamp <= deadline) return object;
    const metadata = {
      ...object.metadata,
      deletionTimestamp: deadline,
      deletionGracePeriodSeconds: graceSeconds,
    };
    return store.update(resource, { ...object, metadata });
  }

  function replace(resource: Resource, name: string, input: unknown): KubeObject {
    const previous = existing(resource, name);
    const wanted = read(input);
    if (wanted.metadata.name !== name) throw new ApiError('BadRequest', 'the name of an object cannot change');
    const expected = wanted.metadata.resourceVersion || undefined;
    return store.update(resource, admit(resource, wanted, previous, admission()), expected);
  }

  return {
    server,
    devices,
    proofSizes: context.proofSizes ?? defaultSizes,
    claims: context.claims ?? openClaims(undefined),
    store,
    cache: saved?.cache ?? { images: [], models: [] },
    up: saved?.up ?? true,
    create: (resource, input) => store.create(resource, admit(resource, read(input), undefined, admission())),
    replace,
    patch: (resource, name, change) => replace(resource, name, change(existing(resource, name))),
    remove(resource, name, options = {}) {
      const object = existing(resource, name);
      if (resource === 'pods' && options.gracePeriodSeconds !== 0) {
        const spec = object.spec as { terminationGracePeriodSeconds?: number } | undefined;
        const grace = options.gracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30;
        return markDeleted(resource, object, grace);
      }
      if (resource === 'jobs' && options.propagationPolicy === 'Foreground') return markDeleted(resource, object, 0);
      if (resource === 'jobs' && options.propagationPolicy === 'Orphan') {
        for (const pod of store.list('pods')) {
          if (pod.metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid)) {
            store.update('pods', { ...pod, metadata: { ...pod.metadata, ownerReferences: [] } });
          }
        }
      }
      return store.remove(resource, name);
    },
    setStatus(resource, name, status) {
      const object = store.get(resource, name);
      if (!object || JSON.stringify(object.status) === JSON.stringify(status)) return;
      store.update(resource, { ...object, status });
    },
  };
}

/** Seconds since the epoch of a deletion mark, in ms; undefined when the object is not being deleted. */
export function deletionDeadline(object: KubeObject): number | undefined {
  const text = object.metadata.deletionTimestamp;
  return text === undefined ? undefined : Date.parse(text);
}

export { namespace };
