// The validator's feeds: where each comes from and how one item of it is read. Both validator generations are understood: what only
// one of them sends is optional (protocol.md 6.1, 6.2 and trap 10).

import { z } from 'zod';
import { parseChute } from '../domain/chute.ts';
import type { Feeds, GlobalInstance, RemoteInstance, RollingUpdate, Utilization } from '../domain/ports.ts';

export type FeedName = keyof Feeds;
type ItemOf<N extends FeedName> = Feeds[N]['items'] extends ReadonlyMap<string, infer T> ? T : never;

export interface FeedSource<T> {
  path: string;
  kind: 'stream' | 'list';
  /** Unsigned where undefined. */
  purpose: string | undefined;
  /** Field that names an item. */
  key: string;
  read(item: unknown, validator: string): T;
  /** An empty list is an answer, not a silence. An empty stream never is, only its explicit marker. */
  emptyIsAnswer: boolean;
  /** Something is concluded from an absent item, so a round that could not read one is no complete answer. */
  absenceMatters: boolean;
}

const id = z.string().min(1);

/** ISO 8601; without an offset it is UTC. */
const time = z
  .string()
  .transform((text) => Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`))
  .refine((ms) => !Number.isNaN(ms), 'must be a time in ISO 8601')
  .nullish()
  .transform((ms) => ms ?? undefined);

const instance = z.object({
  instance_id: id,
  chute_id: id,
  version: z.string().nullish(),
  config_id: z.string().nullish(),
  active: z.boolean().nullish(),
  verified: z.boolean().nullish(),
  created_at: time,
  activated_at: time,
  last_verified_at: time,
  compute_multiplier: z.number().nullish(),
});

function readInstance(item: unknown): RemoteInstance {
  const raw = instance.parse(item);
  const verifiedAt = raw.last_verified_at ?? (raw.verified ? (raw.activated_at ?? raw.created_at) : undefined);
  return {
    instanceId: raw.instance_id,
    chuteId: raw.chute_id,
    version: raw.version ?? '',
    configId: raw.config_id ?? undefined,
    active: raw.active ?? true,
    verifiedAt,
    activatedAt: raw.activated_at,
    computeMultiplier: raw.compute_multiplier ?? undefined,
  };
}

const globalInstance = z.object({ instance_id: id, chute_id: id, compute_multiplier: z.number().nullish() });

function readGlobalInstance(item: unknown): GlobalInstance {
  const raw = globalInstance.parse(item);
  return { instanceId: raw.instance_id, chuteId: raw.chute_id, computeMultiplier: raw.compute_multiplier ?? 1 };
}

const utilization = z.object({
  chute_id: id,
  scalable: z.boolean().nullish(),
  update_in_progress: z.boolean().nullish(),
  target_count: z.number().nullish(),
  active_instance_count: z.number().nullish(),
});

function readUtilization(item: unknown): Utilization {
  const raw = utilization.parse(item);
  return {
    chuteId: raw.chute_id,
    scalable: raw.scalable ?? true,
    updateInProgress: raw.update_in_progress ?? false,
    targetCount: raw.target_count ?? undefined,
    activeInstanceCount: raw.active_instance_count ?? undefined,
  };
}

const rollingUpdate = z.object({ chute_id: id, old_version: z.string(), new_version: z.string() });

function readRollingUpdate(item: unknown): RollingUpdate {
  const raw = rollingUpdate.parse(item);
  return { chuteId: raw.chute_id, oldVersion: raw.old_version, newVersion: raw.new_version };
}

const cooldown = z.object({ chute_id: id, cooldown_expires_at: time });

function readCooldown(item: unknown): number {
  const expiresAt = cooldown.parse(item).cooldown_expires_at;
  if (expiresAt === undefined) throw new Error('cooldown_expires_at is missing');
  return expiresAt;
}

function readNode(item: unknown): string {
  return z.object({ uuid: id }).parse(item).uuid;
}

const stream = { kind: 'stream', purpose: 'miner', emptyIsAnswer: false } as const;

export const feedSources: { [N in FeedName]: FeedSource<ItemOf<N>> } = {
  chutes: { ...stream, path: '/miner/chutes/', key: 'chute_id', read: parseChute, absenceMatters: false },
  instances: {
    ...stream,
    path: '/miner/instances/?explicit_null=True',
    key: 'instance_id',
    read: readInstance,
    absenceMatters: true,
  },
  nodes: { ...stream, path: '/miner/nodes/', key: 'uuid', read: readNode, absenceMatters: true },
  globalInstances: {
    path: '/miner/active_instances/',
    kind: 'list',
    purpose: 'miner',
    key: 'instance_id',
    read: readGlobalInstance,
    emptyIsAnswer: false,
    absenceMatters: true,
  },
  utilization: {
    path: '/chutes/utilization',
    kind: 'list',
    purpose: undefined,
    key: 'chute_id',
    read: readUtilization,
    emptyIsAnswer: false,
    absenceMatters: false,
  },
  rollingUpdates: {
    path: '/chutes/rolling_updates',
    kind: 'list',
    purpose: undefined,
    key: 'chute_id',
    read: readRollingUpdate,
    emptyIsAnswer: true,
    absenceMatters: false,
  },
  cooldowns: {
    path: '/miner/thrash_cooldowns',
    kind: 'list',
    purpose: 'miner',
    key: 'chute_id',
    read: readCooldown,
    emptyIsAnswer: true,
    absenceMatters: false,
  },
};
