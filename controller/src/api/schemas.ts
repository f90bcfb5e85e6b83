// The JSON that goes in and out, once: what is read is checked with these schemas, the OpenAPI document is made from them, and the tests
// hold the answers against them. Shapes are those of protocol.md 4.1.1.

import { z } from 'zod';
import { serverConfig } from '../domain/config.ts';

/** What the OpenAPI document tells of a shape; those with an id are shared. */
export const named = z.registry<{ id?: string; description: string }>();

function note<T extends z.ZodType>(description: string, schema: T): T {
  named.add(schema, { description });
  return schema;
}

function name<T extends z.ZodType>(id: string, description: string, schema: T): T {
  named.add(schema, { id, description });
  return schema;
}

const time = z.iso.datetime({ offset: true });
const text = z.string();

const formProblem = name(
  'FormProblem',
  'One thing that is wrong with a request.',
  z.strictObject({ loc: z.array(z.union([text, z.number()])), msg: text, type: text }),
);

export const problem = name(
  'Problem',
  'Why a request was refused: a code of docs/errors.md, and one sentence or, with status 422, the place of each problem.',
  z.strictObject({ error: text, detail: z.union([text, z.array(formProblem)]) }),
);

export const gpu = name(
  'Gpu',
  'One GPU of a server; deployment_id names what holds it.',
  z.strictObject({
    gpu_id: text,
    validator: text,
    server_id: text,
    deployment_id: text.nullable(),
    device_info: z.record(text, z.unknown()),
    model_short_ref: text,
    verified: z.boolean(),
  }),
);

export const chute = name(
  'Chute',
  'The app a deployment runs; its code is never shown.',
  z.strictObject({
    chute_id: text,
    validator: text,
    name: text,
    image: text.nullable(),
    filename: text.nullable(),
    ref_str: text.nullable(),
    version: text,
    chutes_version: text.nullable(),
    supported_gpus: z.array(text),
    gpu_count: z.int(),
    preemptible: z.boolean(),
    tee: z.boolean(),
    ban_reason: text.nullable(),
  }),
);

export const deployment = name(
  'Deployment',
  'One instance of a chute on one server; a stub until its manifest is committed.',
  z.strictObject({
    deployment_id: text,
    instance_id: text.nullable(),
    validator: text,
    host: text.nullable(),
    port: z.int().nullable(),
    chute_id: text,
    server_id: text.nullable(),
    version: text,
    active: z.boolean(),
    verified_at: time.nullable(),
    activated_at: time.nullable(),
    stub: z.boolean(),
    job_id: text.nullable(),
    config_id: text.nullable(),
    created_at: time,
    preemptible: z.boolean(),
    gpus: z.array(gpu),
    chute,
  }),
);

export const server = name(
  'Server',
  'A GPU server with its GPUs and deployments; memory in GiB, cost in USD per GPU and hour. Its kubeconfig is not shown.',
  z.strictObject({
    server_id: text,
    validator: text,
    name: text,
    ip_address: text,
    agent_api: text.nullable(),
    verification_port: z.int().nullable(),
    status: z.enum(['Ready', 'NotReady', 'Unknown']),
    created_at: time,
    labels: z.record(text, text),
    seed: note('Up to 2^63-1: not to be read through a double.', z.bigint().nullable()),
    gpu_count: z.int(),
    cpu_per_gpu: z.number(),
    memory_per_gpu: z.number(),
    hourly_cost: z.number(),
    locked: z.boolean(),
    is_tee: z.boolean(),
    gpus: z.array(gpu),
    deployments: z.array(deployment),
  }),
);

export const serverRequest = name(
  'ServerRequest',
  'A GPU server to add; hourly_cost in USD per GPU.',
  z.object({
    name: serverConfig.shape.name,
    validator: serverConfig.shape.validator,
    hourly_cost: serverConfig.shape.hourlyCost,
    gpu_short_ref: serverConfig.shape.gpuShortRef,
    agent_api: note(
      'URL of the agent on the server; 400 without it.',
      z
        .string()
        .nullish()
        .refine((url) => !url || serverConfig.shape.agentApi.safeParse(url).success, 'must be a URL (https?)'),
    ),
  }),
);

export const purged = name(
  'PurgedDeployment',
  'A deployment whose removal was asked for.',
  z.strictObject({
    chute_id: text,
    chute_name: text,
    server_id: text.nullable(),
    server_name: text,
    gpu_count: z.int(),
  }),
);

export const purge = z.strictObject({ status: z.literal('initiated'), deployments_purged: z.array(purged) });
export const singlePurge = z.strictObject({ status: z.literal('initiated'), deployment_purged: deployment });
export const deletion = z.strictObject({ status: z.literal('started'), detail: text });
export const preflight = z.strictObject({ jobs: z.array(deployment) });

export const decision = name(
  'Decision',
  'One change to the desired state with what decided it; commit is null until it is on branch live.',
  z.strictObject({
    decision_id: text,
    decided_at: time,
    kind: z.enum(['deploy', 'remove']),
    reason: text,
    because: text.nullable(),
    deployment_id: text,
    chute_id: text,
    chute_name: text,
    version: text,
    validator: text,
    server: text,
    job_id: text.nullable(),
    gpu_ids: z.array(text),
    replicas_before: z.int().nullable(),
    numbers: z.record(text, z.number().nullable()),
    alternatives: z.array(
      z.strictObject({ chute_name: text, server: text, value: z.number().nullable(), because: text }),
    ),
    strategy: text.nullable(),
    commit: text.nullable(),
  }),
);

export const plan = z.strictObject({
  decisions: z.array(decision),
  held: z.array(text),
  blocked: z.array(text),
  why_not: z.array(z.strictObject({ chute_id: text, chute_name: text, reasons: z.array(text) })),
});

export const planQuery = z.strictObject({
  chute: text.optional().meta({ description: 'id or name: tell in why_not what stands against it' }),
});

export const world = z.looseObject({ format: z.literal(1), now: z.number() });

export const decisionQuery = z.strictObject({
  deployment_id: text.max(200).optional(),
  chute_id: text.max(200).optional(),
  server: note('Name or id.', text.max(200).optional()),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
});

export const kubeconfig = name(
  'Kubeconfig',
  'Credentials of the control cluster and of every GPU server, one context each; for the operator alone.',
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Config'),
    clusters: z.array(z.strictObject({ name: text, cluster: z.record(text, z.unknown()) })),
    users: z.array(z.strictObject({ name: text, user: z.record(text, z.unknown()) })),
    contexts: z.array(
      z.strictObject({
        name: text,
        context: z.strictObject({ cluster: text, user: text, namespace: z.literal('chutes') }),
      }),
    ),
    'current-context': text,
  }),
);

const part = z.strictObject({ part: text, ok: z.boolean(), since: z.number().optional(), detail: text.optional() });

export const ready = name(
  'Ready',
  'Every part the miner needs; since is in ms since the Unix epoch.',
  z.strictObject({ status: z.literal('ready'), parts: z.array(part) }),
);
export const notReady = name(
  'NotReady',
  'What the miner waits for.',
  z.strictObject({ error: z.literal('E-NOT-READY'), detail: text, parts: z.array(part) }),
);
export const alive = z.strictObject({ status: z.literal('ok') });
export const pong = z.strictObject({ message: z.literal('pong') });
