import { Registry } from 'prom-client';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import type { DeploymentLifecycle, DeploymentSpec } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import { countDeployments, countGpus, deploymentStates } from './fleet.ts';
import { createMetrics, type MetricsSources } from './metrics.ts';

const now = 1_735_689_600_000;

function metricsWith(sources: MetricsSources = {}) {
  return createMetrics({ sources, clock: { now: () => now }, process: false });
}

/** The samples of one metric, without its help. */
async function samples(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  return (await metrics.expose()).split('\n').filter((line) => line.startsWith(name));
}

function row(deploymentId: string, gpuIds: string[], times: Partial<DeploymentLifecycle>): DeploymentLifecycle {
  return { deploymentId, gpuIds, plannedAt: 1, ...times } as DeploymentLifecycle;
}

function server(...gpus: [gpuId: string, verified: boolean][]): Server {
  return { gpus: gpus.map(([gpuId, verified]) => ({ gpuId, verified, model: 'h100' })) } as unknown as Server;
}

test('events are counted by step and reason; reasons nobody may send are one', async () => {
  const metrics = metricsWith();
  metrics.event('received', 'job_created');
  metrics.event('received', 'server_deleted');
  metrics.event('received', `made up ${now}`);
  metrics.event('received', 'constructor');
  metrics.event('handled', 'job_created');
  metrics.event('failed', 'job_created');
  assert.equal(await samples(metrics, 'miner_events_'), [
    'miner_events_received_total{reason="job_created"} 1',
    'miner_events_received_total{reason="server_deleted"} 1',
    'miner_events_received_total{reason="other"} 2',
    'miner_events_handled_total{reason="job_created"} 1',
    'miner_events_failed_total{reason="job_created"} 1',
  ]);
});

test('launches, decisions, commits and refusals are counted by what they are', async () => {
  const metrics = metricsWith();
  metrics.launch('v', 'granted');
  metrics.launch('v', 'refused');
  metrics.decision({ kind: 'deploy', spec: { reason: 'bounty' } as DeploymentSpec } as Decision);
  metrics.decision({ kind: 'remove', reason: 'pod-lost', spec: { reason: 'bounty' } as DeploymentSpec } as Decision);
  metrics.commit('live');
  metrics.signatureFailure('signature does not fit');
  metrics.limited('refusals');
  const text = await metrics.expose();
  for (const line of [
    'miner_launches_total{validator="v",outcome="granted"} 1',
    'miner_launches_total{validator="v",outcome="refused"} 1',
    'miner_decisions_total{kind="deploy",reason="bounty"} 1',
    'miner_decisions_total{kind="remove",reason="pod-lost"} 1',
    'miner_commits_total{branch="live"} 1',
    'miner_api_signature_failures_total{reason="signature does not fit"} 1',
    'miner_api_limited_total{limit="refusals"} 1',
  ])
    assert.match(text, `${line}\n`);
});

test('the time of answers is kept in seconds by route pattern and status; paths without a route are one', async () => {
  const metrics = metricsWith();
  metrics.answer({ method: 'GET', route: '/servers/:id/lock', status: 200, ms: 40 });
  metrics.answer({ method: 'GET', route: '', status: 404, ms: 1 });
  const lines = await samples(metrics, 'miner_api_request_duration_seconds');
  const labels = 'method="GET",route="/servers/:id/lock",status="200"';
  assert.ok(lines.includes(`miner_api_request_duration_seconds_sum{${labels}} 0.04`));
  assert.ok(lines.includes(`miner_api_request_duration_seconds_bucket{le="0.05",${labels}} 1`));
  assert.ok(lines.includes(`miner_api_request_duration_seconds_bucket{le="0.025",${labels}} 0`));
  assert.ok(lines.includes('miner_api_request_duration_seconds_count{method="GET",route="none",status="404"} 1'));
});

test('gauges are read at each scrape, and what is gone leaves no series', async () => {
  const feeds = [
    { validator: 'v', feed: 'chutes', fetchedAt: now - 12_500 },
    { validator: 'v', feed: 'nodes', fetchedAt: undefined },
    { validator: 'v', feed: 'ahead', fetchedAt: now + 5 },
  ];
  const validators = [{ validator: 'v', up: true }];
  const parts = [
    { part: 'store', ok: true },
    { part: 'redis', ok: false },
  ];
  const metrics = metricsWith({ feeds: () => feeds, validators: () => validators, parts: async () => parts });
  assert.equal(await samples(metrics, 'miner_feed_age_seconds'), [
    'miner_feed_age_seconds{validator="v",feed="chutes"} 12.5',
    'miner_feed_age_seconds{validator="v",feed="nodes"} 0',
    'miner_feed_age_seconds{validator="v",feed="ahead"} 0',
  ]);
  assert.equal(await samples(metrics, 'miner_validator_up'), ['miner_validator_up{validator="v"} 1']);
  assert.equal(await samples(metrics, 'miner_part_up'), [
    'miner_part_up{part="store"} 1',
    'miner_part_up{part="redis"} 0',
  ]);
  for (const list of [feeds, validators, parts]) list.length = 0;
  assert.equal(await samples(metrics, 'miner_feed_age_seconds'), []);
  assert.equal(await samples(metrics, 'miner_validator_up'), []);
  assert.equal(await samples(metrics, 'miner_part_up'), []);
});

test('a source that fails takes only its own series away, and is counted', async () => {
  let broken = false;
  const metrics = metricsWith({
    parts: async () => {
      if (broken) throw new Error('down');
      return [{ part: 'store', ok: true }];
    },
    validators: () => [{ validator: 'v', up: false }],
  });
  await metrics.expose();
  broken = true;
  assert.equal(await samples(metrics, 'miner_part_up'), []);
  assert.equal(await samples(metrics, 'miner_validator_up'), ['miner_validator_up{validator="v"} 0']);
  assert.equal(await samples(metrics, 'miner_scrape_failures_total'), [
    'miner_scrape_failures_total{source="parts"} 3',
  ]);
});

test('deployments are counted in the state they are in, also the states without any', () => {
  const rows = [
    row('a', [], {}),
    row('b', [], { committedAt: 1 }),
    row('c', [], { committedAt: 1, activatedAt: 2 }),
    row('d', [], { activatedAt: 2, removedAt: 3 }),
    row('e', [], { removedAt: 3, goneAt: 4 }),
  ];
  const counts = Object.fromEntries(countDeployments(rows));
  assert.equal(Object.keys(counts), [...deploymentStates]);
  const { planned, committed, active, draining, running } = counts;
  assert.equal([planned, committed, active, draining, running], [1, 1, 1, 1, 0]);
});

test('a GPU is held from the plan until its pod is gone', () => {
  const servers = [server(['g1', true], ['g2', true], ['g3', true]), server(['g4', true], ['g5', true], ['g6', false])];
  const rows = [
    row('a', ['g1'], {}),
    row('b', ['g2', 'g3'], { committedAt: 1, runningAt: 2 }),
    row('c', ['g4'], { runningAt: 2, removedAt: 3 }),
    row('d', ['g5'], { removedAt: 3, goneAt: 4 }),
  ];
  const counts = new Map(countGpus(servers, rows).map(({ state, count }) => [state, count]));
  assert.equal([...counts].sort(), [
    ['draining', 1],
    ['free', 1],
    ['reserved', 1],
    ['running', 2],
    ['unverified', 1],
  ] as [never, number][]);
});

test('the fleet is read once for both of its gauges', async () => {
  let reads = 0;
  const metrics = metricsWith({
    fleet: async () => {
      reads += 1;
      return { servers: [server(['g1', true])], lifecycles: [row('a', ['g1'], { committedAt: 1 })] };
    },
  });
  const text = await metrics.expose();
  assert.match(text, 'miner_gpus{model="h100",state="reserved"} 1');
  assert.match(text, 'miner_deployments{state="committed"} 1');
  assert.is(reads, 1);
});

test('what GPUs cost, the ceiling, servers, members and the oldest launch are told', async () => {
  const own = { ...server(['g1', true], ['g2', true]), hourlyCost: 1.5 };
  const metrics = metricsWith({
    fleet: async () => ({
      servers: [own, { ...server(['g3', true]), hourlyCost: 2, locked: true }],
      lifecycles: [
        row('a', ['g1'], { plannedAt: now - 60_000 }),
        row('b', ['g3'], { plannedAt: now - 90_000, activatedAt: 2, goneAt: 3 }),
      ],
    }),
    members: () => [
      { server: 'gpu-01', state: 'healthy', certificateEndsAt: 1_800_000_000_500 },
      { server: 'gpu-02', state: 'unknown' },
    ],
    costCeiling: () => 12,
  });
  const text = await metrics.expose();
  for (const line of [
    'miner_gpu_cost_usd_per_hour{use="all"} 5',
    'miner_gpu_cost_usd_per_hour{use="held"} 1.5',
    'miner_cost_ceiling_usd_per_hour 12',
    'miner_servers{state="open"} 1',
    'miner_servers{state="locked"} 1',
    'miner_member_up{server="gpu-01"} 1',
    'miner_member_up{server="gpu-02"} 0',
    'miner_member_certificate_end_timestamp_seconds{server="gpu-01"} 1800000000.5',
    'miner_oldest_launch_age_seconds 60',
  ])
    assert.match(text, `${line}\n`);
  assert.equal(await samples(metricsWith({ costCeiling: () => null }), 'miner_cost_ceiling'), []);
});

test('each step of a launch is told once, and none from before the start', async () => {
  const lifecycles = [
    row('old', [], { plannedAt: now - 9_000, committedAt: now - 8_000 }),
    row('new', [], { plannedAt: now - 500, committedAt: now, activatedAt: now + 1_500 }),
  ];
  const metrics = metricsWith({ fleet: async () => ({ servers: [], lifecycles }) });
  await metrics.expose();
  const lines = await samples(metrics, 'miner_deployment_step_seconds_');
  for (const line of [
    'miner_deployment_step_seconds_count{step="committed"} 1',
    'miner_deployment_step_seconds_sum{step="committed"} 0.5',
    'miner_deployment_step_seconds_sum{step="active"} 2',
  ])
    assert.ok(lines.includes(line), line);
});

test('figures of the process are there unless they are not wanted, on the registry that was given', async () => {
  const registry = new Registry();
  assert.match(await createMetrics({ registry }).expose(), 'process_resident_memory_bytes ');
  assert.ok(registry.getSingleMetric('miner_decisions_total'));
  assert.not.match(await metricsWith().expose(), 'process_');
});

test.run();
