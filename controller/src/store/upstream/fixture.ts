// Databases as upstream miners have them (protocol.md 8), made of the column tables there: once as the newest program makes it, once as
// one that came through every migration since 2024. The rows are the same; each has something to take and something to leave.

import postgres from 'postgres';
import { gpuId, hotkey, uuid } from '../contract/fixtures.ts';

export type Variant = 'fresh' | 'migrated';

/** Types and defaults in which the two differ. */
const dialects = {
  fresh: { text: 'varchar', verified: 'timestamptz', flag: 'boolean', preemptible: 'boolean' },
  migrated: {
    text: 'text',
    verified: 'timestamp',
    flag: 'boolean default false',
    preemptible: 'boolean not null default true',
  },
};

function tables(variant: Variant): string {
  const { text, verified, flag, preemptible } = dialects[variant];
  return `
  create table servers (
    server_id ${text} primary key, validator ${text} not null, name ${text} not null constraint servers_name_key unique,
    ip_address ${text}, agent_api ${text}, status ${text}, verification_port integer, created_at timestamptz default now(),
    labels jsonb not null, seed bigint, gpu_count integer not null, cpu_per_gpu integer not null,
    memory_per_gpu integer not null, hourly_cost double precision not null, locked ${flag}, kubeconfig text, is_tee ${flag});
  create table chutes (
    chute_id ${text} primary key, validator ${text} not null, name ${text}, image ${text} not null, code ${text} not null,
    filename ${text} not null, ref_str ${text} not null, version ${text} not null, ban_reason ${text}, chutes_version ${text},
    supported_gpus ${text}[] not null, gpu_count integer not null, created_at timestamptz default now(),
    updated_at timestamptz default now(), preemptible ${preemptible}, tee ${flag});
  create table deployments (
    deployment_id ${text} primary key, instance_id ${text}, validator ${text} not null, host ${text}, port integer,
    chute_id ${text} not null references chutes on delete cascade,
    server_id ${text} not null references servers on delete cascade,
    version ${text} not null, active boolean, stub boolean, job_id ${text}, config_id ${text},
    verified_at ${verified}, activated_at timestamptz, created_at timestamptz default now(), preemptible ${preemptible});
  create table gpus (
    gpu_id ${text} primary key, validator ${text}, server_id ${text} not null references servers on delete cascade,
    deployment_id ${text} references deployments on delete set null, device_info jsonb not null,
    model_short_ref ${text} not null, verified boolean);
  create table deployment_audit (
    deployment_id text primary key, validator text not null, chute_id text not null, version text not null, instance_id text,
    created_at timestamp not null default now(), verified_at timestamp, deleted_at timestamp);
  create index idx_deployment_audit_ts on deployment_audit (verified_at, deleted_at);
  create table schema_migrations (version ${text} primary key);`;
}

export const secrets = ['kubeconfig-secret', '9223372036854775807'];

const device = (n: number) =>
  `'{"uuid":"${gpuId(n)}","name":"NVIDIA H100 80GB HBM3","memory":85024636928,"clock_rate":1980000.0,"major":9,"minor":0,
     "processors":132,"sxm":true,"ecc":1,"concurrent_kernels":null,"max_threads_per_processor":2048,"extra":"x"}'`;

function gpu(n: number, server: number, deployment: number | undefined, info = device(n)): string {
  const of = deployment === undefined ? 'null' : `'${uuid(deployment)}'`;
  return `insert into gpus values ('${gpuId(n)}', '${hotkey}', '${uuid(server)}', ${of}, ${info}, 'h100_sxm', true);`;
}

function server(n: number, columns: Record<string, string>): string {
  const all: Record<string, string> = {
    server_id: `'${uuid(n)}'`,
    validator: `'${hotkey}'`,
    name: `'gpu-${n}'`,
    ip_address: `'192.0.2.${n}'`,
    agent_api: `'http://192.0.2.${n}:32000'`,
    created_at: "'2026-01-02 03:04:05.678+00'",
    labels: `'{"gpu-short-ref":"h100_sxm"}'`,
    gpu_count: '2',
    cpu_per_gpu: '4',
    memory_per_gpu: '80',
    hourly_cost: '1.35',
    kubeconfig: `'kubeconfig-secret'`,
    ...columns,
  };
  return `insert into servers (${Object.keys(all)}) values (${Object.values(all)});`;
}

function chute(n: number, columns: Record<string, string> = {}): string {
  const all: Record<string, string> = {
    chute_id: `'${uuid(n)}'`,
    validator: `'${hotkey}'`,
    name: `'llama-${n}'`,
    image: `'chutes/vllm:0.9.1'`,
    code: `'print()'`,
    filename: `'app.py'`,
    ref_str: `'app:chute'`,
    version: `'${uuid(n + 1000)}'`,
    supported_gpus: `'{h100_sxm,a100}'`,
    gpu_count: '2',
    preemptible: 'true',
    ...columns,
  };
  return `insert into chutes (${Object.keys(all)}) values (${Object.values(all)});`;
}

function deployment(n: number, columns: Record<string, string>): string {
  const all: Record<string, string> = {
    deployment_id: `'${uuid(n)}'`,
    validator: `'${hotkey}'`,
    chute_id: `'${uuid(50)}'`,
    server_id: `'${uuid(1)}'`,
    version: `'${uuid(1050)}'`,
    host: `'192.0.2.1'`,
    port: '31001',
    active: 'false',
    stub: 'false',
    created_at: "'2026-01-02 04:00:00+00'",
    preemptible: 'true',
    ...columns,
  };
  return `insert into deployments (${Object.keys(all)}) values (${Object.values(all)});`;
}

const rows = [
  server(1, { seed: '9223372036854775807', verification_port: '30501', locked: 'true' }),
  server(2, { agent_api: 'null', ip_address: 'null', labels: `'{"chutes/external-ip":"192.0.2.2"}'`, gpu_count: '1' }),
  server(3, { name: `'Bad.Name'` }),
  server(4, { labels: `'{}'`, hourly_cost: '-1' }),
  chute(50, { chutes_version: `'0.3.61'`, name: 'null' }),
  chute(51, { ban_reason: `'too slow'`, gpu_count: '1' }),
  chute(52, { image: `'not an image'` }),
  deployment(100, {
    active: 'true',
    instance_id: `'${uuid(300)}'`,
    config_id: `'${uuid(200)}'`,
    verified_at: "'2026-01-02 04:10:00.5+00'",
    activated_at: "'2026-01-02 04:12:00+00'",
  }),
  deployment(101, { chute_id: `'${uuid(51)}'`, server_id: `'${uuid(2)}'`, port: 'null', job_id: `'${uuid(400)}'` }),
  deployment(102, { stub: 'true' }),
  deployment(103, {}),
  deployment(104, { server_id: `'${uuid(3)}'` }),
  gpu(12, 1, 100),
  gpu(11, 1, 100),
  gpu(13, 1, 102),
  gpu(21, 2, 101),
  gpu(31, 3, 104),
  gpu(22, 2, undefined, `'{"name":""}'`),
  ...[100, 101, 102, 103, 104].map(
    (
      n,
    ) => `insert into deployment_audit (deployment_id, validator, chute_id, version, instance_id, created_at, verified_at)
      select deployment_id, validator, chute_id, version, instance_id, created_at at time zone 'UTC',
        ${n === 100 ? "timestamp '2026-01-02 04:10:00.75'" : 'null'} from deployments where deployment_id = '${uuid(n)}';`,
  ),
  `insert into deployment_audit values ('${uuid(99)}', '${hotkey}', '${uuid(50)}', 'v0', '${uuid(299)}',
    '2026-01-01 10:00:00', '2026-01-01 10:05:00', '2026-01-01 12:00:00');`,
];

/** Makes the database at `url`, which is empty, one of an upstream miner. */
export async function makeUpstream(url: string, variant: Variant, filled = true): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => undefined, connection: { TimeZone: 'UTC' } });
  try {
    await client.unsafe(tables(variant));
    if (filled) await client.unsafe(rows.join('\n'));
  } finally {
    await client.end();
  }
}
