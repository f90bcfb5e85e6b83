import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dueHours, hourMs, hourName, lastFullHour, parseHour } from './hours.ts';
import { metricsOrMessage, prometheusMetrics } from './metrics.ts';
import { buildReport } from './report.ts';
import { hour, row } from './testing/world.ts';

const miner = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const none = { message: null, rows: [] };

function auditOf(change: Partial<typeof row>): Record<string, unknown>[] {
  const body = buildReport({ miner, hour, rows: [{ ...row, ...change }], metrics: none });
  return JSON.parse(body.toString()).deployment_audit;
}

test('a report has the shape that the validator reads', () => {
  const metrics = { chute_id: 'c1', deployment_id: 'd1', function: 'chat', total_seconds: 1.5, total_count: 3 };
  const body = buildReport({ miner, hour, rows: [row], metrics: { message: null, rows: [metrics] } });
  assert.equal(JSON.parse(body.toString()), {
    miner_hotkey: miner,
    start_time: '2026-11-22T15:00:00+00:00',
    end_time: '2026-11-22T16:00:00+00:00',
    prometheus_message: null,
    prometheus_metrics: [metrics],
    deployment_audit: [
      {
        deployment_id: 'd1',
        validator: row.validator,
        chute_id: 'c1',
        version: 'v1',
        instance_id: 'i1',
        created_at: '2026-11-22T14:59:00.000',
        verified_at: '2026-11-22T15:00:01.234',
        deleted_at: null,
      },
    ],
  });
});

test('a report made late tells the state at the end of its hour', () => {
  const end = hour + hourMs;
  assert.is(auditOf({ deletedAt: end + 5 })[0]?.deleted_at, null);
  assert.is(auditOf({ deletedAt: end - 1 })[0]?.deleted_at, '2026-11-22T15:59:59.999');
  const late = auditOf({ verifiedAt: end })[0];
  assert.equal([late?.verified_at, late?.instance_id], [null, null]);
  assert.equal(auditOf({ createdAt: end }), []);
});

test('an instance that was never verified has no name in the trail', () => {
  assert.is(auditOf({ verifiedAt: undefined })[0]?.instance_id, null);
});

const texts: [string, string | undefined][] = [
  ['2026-11-22T15', '2026-11-22T15'],
  ['2026-11-22T15:00', '2026-11-22T15'],
  ['2026-11-22T15:00:00Z', '2026-11-22T15'],
  ['2026-11-22T15:00:00.000+00:00', '2026-11-22T15'],
  ['2026-11-22T15:30:00Z', undefined],
  ['2026-11-22T15:00:00+01:00', undefined],
  ['2026-11-31T15', undefined],
  ['2026-11-22T24', undefined],
  ['yesterday', undefined],
  ['2026-11-22T16', undefined],
];
for (const [text, name] of texts) {
  test(`--hour ${text} is ${name ?? 'refused'}`, () => {
    const now = hour + hourMs + 1;
    if (name) assert.is(hourName(parseHour(text, now)), name);
    else assert.throws(() => parseHour(text, now), /--hour/);
  });
}

test('an hour is full from its first millisecond after', () => {
  assert.is(lastFullHour(hour + hourMs), hour);
  assert.is(lastFullHour(hour + hourMs - 1), hour - hourMs);
});

test('nothing is due from before the first hour that was begun', () => {
  assert.equal(dueHours({ last: hour, begun: [], done: new Set(), backfill: 24 }), [hour]);
  const begun = [hour - hourMs, hour - 3 * hourMs];
  const due = dueHours({ last: hour, begun, done: new Set([hour - hourMs]), backfill: 24 });
  assert.equal(due, [hour - 3 * hourMs, hour - 2 * hourMs, hour]);
});

type Reply = [status: number, body: unknown];

async function withPrometheus<T>(reply: (query: string) => Reply, run: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://prometheus');
    const known = pathname === '/api/v1/query' && searchParams.get('time') === String((hour + hourMs) / 1000);
    const [status, body] = known ? reply(searchParams.get('query') ?? '') : [404, ''];
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const vector = (result: [string, string, string, string][]): Reply => [
  200,
  {
    status: 'success',
    data: {
      resultType: 'vector',
      result: result.map(([chutes_deployment_id, chute_id, name, value]) => ({
        metric: { chutes_deployment_id, chute_id, function: name },
        value: [1, value],
      })),
    },
  },
];

test('seconds and counts of the hour come from two queries, joined by their labels; rows without time are left out', async () => {
  const queries: string[] = [];
  const rows = await withPrometheus(
    (query) => {
      queries.push(query);
      return query.includes('duration')
        ? vector([
            ['d2', 'c1', 'chat', '0.25'],
            ['d1', 'c1', 'chat', '12.5'],
            ['d1', 'c1', 'idle', '0'],
            ['d1', 'c1', 'odd', 'NaN'],
          ])
        : vector([['d1', 'c1', 'chat', '7']]);
    },
    (url) => prometheusMetrics(url)(hour + hourMs),
  );
  assert.equal(queries.sort(), [
    'sum(increase(invocation_duration_sum{status="200"}[1h])) by (chutes_deployment_id, chute_id, function)',
    'sum(increase(invocation_total{status="200"}[1h])) by (chutes_deployment_id, chute_id, function)',
  ]);
  assert.equal(rows, [
    { chute_id: 'c1', deployment_id: 'd1', function: 'chat', total_seconds: 12.5, total_count: 7 },
    { chute_id: 'c1', deployment_id: 'd2', function: 'chat', total_seconds: 0.25, total_count: 0 },
  ]);
});

const failures: [string, Reply, RegExp][] = [
  ['an error', [503, ''], /answered 503/],
  ['no JSON', [200, '<html>'], /not valid JSON|Unexpected token/],
  ['a failed query', [200, { status: 'error', error: 'x' }], /cannot be read/],
];
for (const [what, reply, message] of failures) {
  test(`a Prometheus that answers with ${what} gives an empty list and says why`, async () => {
    const answer = await withPrometheus(
      () => reply,
      (url) => metricsOrMessage(prometheusMetrics(url), hour + hourMs),
    );
    assert.equal(answer.rows, []);
    assert.match(answer.message ?? '', message);
  });
}

test('without a Prometheus the report says so', async () => {
  assert.equal(await metricsOrMessage(undefined, hour), { message: 'no Prometheus is configured', rows: [] });
});

test.run();
