// Seconds and number of successful invocations in one hour, from Prometheus (protocol.md 6.5). A report does without them if need be: what
// went wrong becomes its message.

import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';

export interface MetricsRow {
  chute_id: string;
  deployment_id: string;
  function: string;
  total_seconds: number;
  total_count: number;
}

export interface MetricsAnswer {
  /** Why there are no rows; null when Prometheus answered. */
  message: string | null;
  rows: readonly MetricsRow[];
}

/** Invocations in the hour that ends at `end`, ms. Rejects when Prometheus does not answer, or not as itself. */
export type ReadMetrics = (end: number) => Promise<MetricsRow[]>;

const timeoutMs = 30_000;

const answer = z.object({
  status: z.literal('success'),
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        value: z.tuple([z.number(), z.string()]),
      }),
    ),
  }),
});
type Series = z.infer<typeof answer>['data']['result'];

const labels = ['chutes_deployment_id', 'chute_id', 'function'] as const;

function queryOf(metric: string): string {
  return `sum(increase(${metric}{status="200"}[1h])) by (${labels.join(', ')})`;
}

function keyOf({ metric }: Series[number]): string {
  return JSON.stringify(labels.map((label) => metric[label] ?? ''));
}

/** Rows with time spent, in the order of their labels. */
function join(seconds: Series, counts: Series): MetricsRow[] {
  const countOf = new Map(counts.map((one) => [keyOf(one), Number(one.value[1])]));
  const rows = seconds.map((one) => ({
    chute_id: one.metric.chute_id ?? '',
    deployment_id: one.metric.chutes_deployment_id ?? '',
    function: one.metric.function ?? '',
    total_seconds: Number(one.value[1]),
    total_count: countOf.get(keyOf(one)) ?? 0,
    key: keyOf(one),
  }));
  return rows
    .filter((row) => row.total_seconds > 0 && Number.isFinite(row.total_seconds) && Number.isFinite(row.total_count))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ key, ...row }) => row);
}

/** Reads from the Prometheus at this base URL. */
export function prometheusMetrics(url: string, fetch: typeof globalThis.fetch = globalThis.fetch): ReadMetrics {
  async function query(metric: string, at: number): Promise<Series> {
    const params = new URLSearchParams({ query: queryOf(metric), time: String(at / 1000) });
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/query?${params}`, {
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`Prometheus answered ${response.status}`);
    const body = answer.safeParse(await response.json());
    if (!body.success) throw new Error('Prometheus gave an answer that cannot be read');
    return body.data.data.result;
  }

  return async (end) =>
    join(...(await Promise.all([query('invocation_duration_sum', end), query('invocation_total', end)])));
}

/** Never rejects. `read` is undefined where no Prometheus is configured. */
export async function metricsOrMessage(read: ReadMetrics | undefined, end: number): Promise<MetricsAnswer> {
  if (!read) return { message: 'no Prometheus is configured', rows: [] };
  try {
    return { message: null, rows: await read(end) };
  } catch (error) {
    return { message: `the metrics could not be read: ${messageOf(error)}`, rows: [] };
  }
}
