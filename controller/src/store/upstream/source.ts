// The tables of the miner that is to be replaced, read in one snapshot and never written. A row arrives as JSON, so that databases made
// at once and databases that came through every migration read alike: both have the same columns, with other types and defaults.

import { parse } from 'lossless-json';
import postgres from 'postgres';
import { MinerError } from '../../domain/errors.ts';
import { storeError } from '../failures.ts';
import { readNumber } from '../rows.ts';

/** Rows as they are, unchecked; integers beyond 2^53 are bigint, times are ISO texts. */
export interface UpstreamRows {
  servers: unknown[];
  gpus: unknown[];
  chutes: unknown[];
  deployments: unknown[];
  /** Empty in databases from before the audit trail. */
  audit: unknown[];
}

const required = ['servers', 'gpus', 'chutes', 'deployments'];

function rowsOf(rows: readonly { row: string }[]): unknown[] {
  return rows.map(({ row }) => parse(row, null, readNumber));
}

async function demandUpstream(sql: postgres.TransactionSql): Promise<Set<string>> {
  const columns = await sql<{ name: string }[]>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = current_schema()`;
  const names = new Set(columns.map(({ name }) => name));
  const tables = new Set([...names].map((name) => name.split('.')[0] ?? ''));
  const missing = required.filter((table) => !tables.has(table));
  if (missing.length > 0)
    throw new MinerError('E-USAGE', `the source has no table ${missing.join(', ')}; it is not the database of a miner`);
  if (!names.has('gpus.deployment_id'))
    throw new MinerError(
      'E-USAGE',
      'the source has no column gpus.deployment_id; it may be a database of this program',
    );
  return tables;
}

/** Rejects with E-USAGE when the database is not that of an upstream miner (protocol.md 8), E-STORE when it cannot be read. */
export async function readUpstream(url: string): Promise<UpstreamRows> {
  const client = postgres(url, {
    max: 1,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: {
      application_name: 'chutes-miner-import',
      default_transaction_read_only: true,
      statement_timeout: 120_000,
      DateStyle: 'ISO',
      TimeZone: 'UTC',
    },
  });
  try {
    return await client.begin('isolation level repeatable read read only', async (sql) => {
      const tables = await demandUpstream(sql);
      // Kubeconfigs are credentials; they are fetched anew from the agents and not even read here.
      const servers = await sql<{ row: string }[]>`
        select (to_jsonb(t) - 'kubeconfig')::text as row from servers t order by name`;
      const gpus = await sql<{ row: string }[]>`select to_jsonb(t)::text as row from gpus t order by gpu_id`;
      const chutes = await sql<{ row: string }[]>`select to_jsonb(t)::text as row from chutes t order by chute_id`;
      const deployments = await sql<{ row: string }[]>`
        select to_jsonb(t)::text as row from deployments t order by created_at, deployment_id`;
      const audit = tables.has('deployment_audit')
        ? await sql<{ row: string }[]>`select to_jsonb(t)::text as row from deployment_audit t order by deployment_id`
        : [];
      return {
        servers: rowsOf(servers),
        gpus: rowsOf(gpus),
        chutes: rowsOf(chutes),
        deployments: rowsOf(deployments),
        audit: rowsOf(audit),
      };
    });
  } catch (error) {
    throw storeError('read the source database', error);
  } finally {
    await client.end({ timeout: 5 });
  }
}
