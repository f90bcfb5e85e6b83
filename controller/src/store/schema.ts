// The tables, once for PostgreSQL and PGlite. Names are upstream's where a table exists there (protocol.md 8); times are milliseconds
// in the program and timestamptz in the database. The SQL that makes them is in migrations/; a test compares the two.

import type { ChutePort } from '../domain/chute.ts';
import type { Decision } from '../domain/decision.ts';
import type { MinerEvent } from '../domain/event.ts';
import type { DeviceInfo } from '../domain/server.ts';
import type { Verification } from '../domain/verification.ts';
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  isNull,
  json,
  jsonb,
  pgTable,
  primaryKey,
  sql,
  text,
  unique,
} from './drizzle.ts';

/** Milliseconds since the Unix epoch; fractions of a millisecond are dropped. */
const instant = customType<{ data: number; driverData: string }>({
  dataType: () => 'timestamp with time zone',
  toDriver: (ms) => new Date(ms).toISOString(),
  fromDriver: (written) => Date.parse(written),
});

export const servers = pgTable(
  'servers',
  {
    serverId: text('server_id').primaryKey(),
    name: text('name').notNull(),
    validator: text('validator').notNull(),
    ip: text('ip_address').notNull(),
    agentApi: text('agent_api'),
    gpuShortRef: text('gpu_short_ref').notNull(),
    cpuPerGpu: integer('cpu_per_gpu').notNull(),
    memoryPerGpu: integer('memory_per_gpu').notNull(),
    diskGb: integer('disk_gb').notNull(),
    hourlyCost: doublePrecision('hourly_cost').notNull(),
    locked: boolean('locked').notNull().default(false),
    tee: boolean('is_tee').notNull().default(false),
    /** Why nothing may be placed on it until it was verified again. */
    cordoned: text('cordoned'),
    /** Up to 2^63-1: never a JavaScript number (trap 4). */
    seed: bigint('seed', { mode: 'bigint' }),
    verificationPort: integer('verification_port'),
    createdAt: instant('created_at').notNull().default(sql`now()`),
  },
  (table) => [unique('servers_name_key').on(table.name)],
);

export const gpus = pgTable(
  'gpus',
  {
    gpuId: text('gpu_id').primaryKey(),
    serverId: text('server_id')
      .notNull()
      .references(() => servers.serverId, { onDelete: 'cascade' }),
    /** Position on the server: the device index of the verification. */
    deviceIndex: integer('device_index').notNull(),
    model: text('model_short_ref').notNull(),
    verified: boolean('verified').notNull().default(false),
    deviceInfo: jsonb('device_info').notNull().$type<DeviceInfo>(),
  },
  (table) => [index('gpus_server_id_idx').on(table.serverId)],
);

export const chutes = pgTable(
  'chutes',
  {
    validator: text('validator').notNull(),
    chuteId: text('chute_id').notNull(),
    name: text('name').notNull(),
    version: text('version').notNull(),
    image: text('image').notNull(),
    refStr: text('ref_str').notNull(),
    filename: text('filename').notNull(),
    code: text('code'),
    chutesVersion: text('chutes_version'),
    supportedGpus: text('supported_gpus').array().notNull(),
    gpuCount: integer('gpu_count').notNull(),
    tee: boolean('tee').notNull().default(false),
    preemptible: boolean('preemptible').notNull().default(true),
    disabled: boolean('disabled').notNull().default(false),
    jobOnly: boolean('job_only').notNull().default(false),
    jobPorts: jsonb('job_ports').notNull().$type<readonly ChutePort[]>(),
    effectiveComputeMultiplier: doublePrecision('effective_compute_multiplier').notNull().default(1),
    bounty: doublePrecision('bounty').notNull().default(0),
  },
  (table) => [primaryKey({ name: 'chutes_pkey', columns: [table.validator, table.chuteId] })],
);

export const deployments = pgTable(
  'deployments',
  {
    deploymentId: text('deployment_id').primaryKey(),
    /** No foreign key: a chute may leave the feed while its deployment drains. */
    chuteId: text('chute_id').notNull(),
    serverId: text('server_id')
      .notNull()
      .references(() => servers.serverId, { onDelete: 'cascade' }),
    validator: text('validator').notNull(),
    version: text('version').notNull(),
    configId: text('config_id'),
    instanceId: text('instance_id'),
    jobId: text('job_id'),
    gpuIds: text('gpu_ids').array().notNull(),
    nodePorts: integer('node_ports').array().notNull(),
    plannedAt: instant('planned_at').notNull(),
    tokenAt: instant('token_at'),
    secretAt: instant('secret_at'),
    committedAt: instant('committed_at'),
    runningAt: instant('running_at'),
    claimedAt: instant('claimed_at'),
    verifiedAt: instant('verified_at'),
    activatedAt: instant('activated_at'),
    instanceGoneAt: instant('instance_gone_at'),
    undeployAt: instant('undeploy_at'),
    removedAt: instant('removed_at'),
    goneAt: instant('gone_at'),
  },
  (table) => [
    index('deployments_server_id_idx').on(table.serverId),
    index('deployments_chute_id_idx').on(table.chuteId),
    index('deployments_config_id_idx').on(table.configId),
    index('deployments_instance_id_idx').on(table.instanceId),
    index('deployments_job_id_idx').on(table.jobId),
    index('deployments_gone_at_idx').on(table.goneAt),
  ],
);

/** Written by triggers alone, and without foreign keys: it outlives what it tells of. */
export const deploymentAudit = pgTable(
  'deployment_audit',
  {
    deploymentId: text('deployment_id').primaryKey(),
    validator: text('validator').notNull(),
    chuteId: text('chute_id').notNull(),
    version: text('version').notNull(),
    instanceId: text('instance_id'),
    createdAt: instant('created_at').notNull(),
    verifiedAt: instant('verified_at'),
    deletedAt: instant('deleted_at'),
  },
  (table) => [index('idx_deployment_audit_ts').on(table.verifiedAt, table.deletedAt)],
);

export const decisions = pgTable(
  'decisions',
  {
    decisionId: text('decision_id').primaryKey(),
    decidedAt: instant('decided_at').notNull(),
    kind: text('kind').notNull(),
    deploymentId: text('deployment_id').notNull(),
    chuteId: text('chute_id').notNull(),
    server: text('server').notNull(),
    reason: text('reason').notNull(),
    commit: text('commit'),
    /** json, not jsonb: the order of the numbers is the order in which they are shown, and jsonb forgets it. */
    decision: json('decision').notNull().$type<Decision>(),
  },
  (table) => [
    index('decisions_decided_at_idx').on(table.decidedAt),
    index('decisions_deployment_id_idx').on(table.deploymentId),
    index('decisions_chute_id_idx').on(table.chuteId, table.decidedAt),
    index('decisions_server_idx').on(table.server, table.decidedAt),
  ],
);

export const events = pgTable(
  'events',
  {
    eventId: text('event_id').primaryKey(),
    receivedAt: instant('received_at').notNull(),
    type: text('type').notNull(),
    /** json, not jsonb: it is handed on as it came in. */
    event: json('event').notNull().$type<MinerEvent>(),
    handledAt: instant('handled_at'),
  },
  (table) => [
    index('events_open_idx').on(table.receivedAt, table.eventId).where(isNull(table.handledAt)),
    index('events_handled_at_idx').on(table.handledAt),
  ],
);

/** Who may do what only one process may do at a time. */
export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  token: integer('token').notNull(),
  expiresAt: instant('expires_at').notNull(),
});

/** Servers that are being added or verified again. */
export const verifications = pgTable('verifications', {
  name: text('name').primaryKey(),
  /** json, not jsonb: it is handed on as it was written. */
  verification: json('verification').notNull().$type<Verification>(),
});
