// The figures of the miner for Prometheus: their names, help and units, all in one place. Counters are told when something happens;
// gauges are read from their sources when somebody scrapes, and a source that fails takes only its own series away.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { Decision } from '../domain/decision.ts';
import type { DeploymentLifecycle, MemberHealth } from '../domain/deployment.ts';
import { eventReasons } from '../domain/event.ts';
import type { Server } from '../domain/server.ts';
import { costs, countDeployments, countGpus, createSteps, oldestLaunchMs } from './fleet.ts';

/** Where the gauges come from; those without a source have no series. */
export interface MetricsSources {
  /** `fetchedAt` in ms; undefined for a feed that never answered. */
  feeds?(): Iterable<{ validator: string; feed: string; fetchedAt: number | undefined }>;
  /** Whether the socket to a validator (hotkey) is up. */
  validators?(): Iterable<{ validator: string; up: boolean }>;
  /** Parts the miner depends on: store, redis, … */
  parts?(): Promise<readonly { part: string; ok: boolean }[]>;
  fleet?(): Promise<{ servers: readonly Server[]; lifecycles: readonly DeploymentLifecycle[] }>;
  /** `certificateEndsAt` in ms; undefined where a member is reached by other means. */
  members?(): Iterable<{ server: string; state: MemberHealth['state']; certificateEndsAt?: number | undefined }>;
  /** USD per hour that the policy in force allows; null: no ceiling. */
  costCeiling?(): number | null;
}

export interface MetricsOptions {
  /** A new one by default. */
  registry?: Registry;
  sources?: MetricsSources;
  clock?: Pick<Clock, 'now'>;
  /** Figures of the process itself, such as `process_resident_memory_bytes`; default true. */
  process?: boolean;
}

export interface Metrics {
  readonly registry: Registry;
  readonly contentType: string;
  /** Prometheus text format. */
  expose(): Promise<string>;
  /** Reasons that no validator may send are counted as `other`. */
  event(step: 'received' | 'handled' | 'failed', reason: string): void;
  launch(validator: string, outcome: 'granted' | 'refused' | 'failed'): void;
  decision(decision: Decision): void;
  /** How a pass was advised by the owner's strategy; not called without one. */
  strategy(outcome: 'answered' | 'failed' | 'suspended'): void;
  commit(branch: 'main' | 'live' | 'proposed'): void;
  /** Something about the git host that a person should read. */
  gitProblem(): void;
  /** `route` is the pattern; ms of the whole answer. */
  answer(answer: { method: string; route: string; status: number; ms: number }): void;
  signatureFailure(reason: string): void;
  limited(limit: string): void;
}

const knownReasons = new Set<string>([...eventReasons, 'server_deleted']);

/** Declares every metric of the product on one registry; to be called once for each registry. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const { registry = new Registry(), sources = {}, clock = systemClock } = options;
  const registers = [registry];
  const startedAt = clock.now();
  if (options.process ?? true) collectDefaultMetrics({ register: registry });

  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });

  const events = {
    received: counter('miner_events_received_total', 'Events that came in.', ['reason']),
    handled: counter('miner_events_handled_total', 'Events whose handler ended well.', ['reason']),
    failed: counter('miner_events_failed_total', 'Attempts to handle an event that failed.', ['reason']),
  };
  const launches = counter('miner_launches_total', 'Launch tokens asked for, by outcome.', ['validator', 'outcome']);
  const decisions = counter('miner_decisions_total', 'Decisions made.', ['kind', 'reason']);
  const commits = counter('miner_commits_total', 'Commits pushed.', ['branch']);
  const strategies = counter('miner_strategy_passes_total', "Passes with the owner's strategy, by how it went.", [
    'outcome',
  ]);
  const gitProblems = counter(
    'miner_git_problems_total',
    'Reports about the git host: away, back, history replaced.',
    [],
  );
  const failures = counter('miner_scrape_failures_total', 'Reads of a source of gauges that failed.', ['source']);
  const signatures = counter(
    'miner_api_signature_failures_total',
    'API requests with a signature that does not hold.',
    ['reason'],
  );
  const limited = counter('miner_api_limited_total', 'API requests turned away by a limit.', ['limit']);
  const requests = new Histogram({
    name: 'miner_api_request_duration_seconds',
    help: 'Time from the headers of an API request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 900],
    registers,
  });
  const feedAge = gauge(
    'miner_feed_age_seconds',
    'Time since a feed of a validator answered; since the start for one that never did.',
    ['validator', 'feed'],
  );
  const validatorUp = gauge('miner_validator_up', '1 while the socket to the validator is up.', ['validator']);
  const partUp = gauge('miner_part_up', '1 while the part (store, redis, …) works.', ['part']);
  const deployments = gauge('miner_deployments', 'Deployments that are not gone.', ['state']);
  const gpus = gauge('miner_gpus', 'GPUs in the inventory.', ['model', 'state']);

  const serverCount = gauge('miner_servers', 'Servers in the inventory.', ['state']);
  const cost = gauge('miner_gpu_cost_usd_per_hour', "What GPUs cost at their servers' hourlyCost.", ['use']);
  const oldest = gauge(
    'miner_oldest_launch_age_seconds',
    'Age of the oldest deployment that was never active; 0: none.',
    [],
  );
  const steps = new Histogram({
    name: 'miner_deployment_step_seconds',
    help: 'Time from the plan of a deployment to a step: committed (pushed), running, active.',
    labelNames: ['step'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 1800, 3600],
    registers,
  });
  const newSteps = createSteps(startedAt);
  const memberUp = gauge('miner_member_up', '1 while the watch on a GPU server is healthy.', ['server']);
  const certificateEnd = gauge(
    'miner_member_certificate_end_timestamp_seconds',
    'When the certificate ends with which a GPU server is reached.',
    ['server'],
  );
  const ceiling = gauge(
    'miner_cost_ceiling_usd_per_hour',
    'Ceiling of the policy in force; none if there is none.',
    [],
  );

  // Each forgets what it said before, so that what is gone leaves no series behind.
  const readers: Record<keyof MetricsSources, { gauges: Gauge[]; read(): Promise<void> }> = {
    feeds: {
      gauges: [feedAge],
      async read() {
        feedAge.reset();
        for (const { validator, feed, fetchedAt } of sources.feeds?.() ?? [])
          feedAge.set({ validator, feed }, Math.max(0, clock.now() - (fetchedAt ?? startedAt)) / 1000);
      },
    },
    validators: {
      gauges: [validatorUp],
      async read() {
        validatorUp.reset();
        for (const { validator, up } of sources.validators?.() ?? []) validatorUp.set({ validator }, Number(up));
      },
    },
    parts: {
      gauges: [partUp],
      async read() {
        const parts = (await sources.parts?.()) ?? [];
        partUp.reset();
        for (const { part, ok } of parts) partUp.set({ part }, Number(ok));
      },
    },
    fleet: {
      gauges: [deployments, gpus, serverCount, cost, oldest],
      async read() {
        const fleet = await sources.fleet?.();
        if (!fleet) return;
        for (const [state, count] of countDeployments(fleet.lifecycles)) deployments.set({ state }, count);
        gpus.reset();
        for (const { model, state, count } of countGpus(fleet.servers, fleet.lifecycles))
          gpus.set({ model, state }, count);
        const locked = fleet.servers.filter((server) => server.locked).length;
        serverCount.set({ state: 'locked' }, locked);
        serverCount.set({ state: 'open' }, fleet.servers.length - locked);
        const { all, held } = costs(fleet.servers, fleet.lifecycles);
        cost.set({ use: 'all' }, all);
        cost.set({ use: 'held' }, held);
        oldest.set(oldestLaunchMs(fleet.lifecycles, clock.now()) / 1000);
        for (const { step, ms } of newSteps(fleet.lifecycles)) steps.observe({ step }, ms / 1000);
      },
    },
    members: {
      gauges: [memberUp, certificateEnd],
      async read() {
        memberUp.reset();
        certificateEnd.reset();
        for (const { server, state, certificateEndsAt } of sources.members?.() ?? []) {
          memberUp.set({ server }, Number(state === 'healthy'));
          if (certificateEndsAt !== undefined) certificateEnd.set({ server }, certificateEndsAt / 1000);
        }
      },
    },
    costCeiling: {
      gauges: [ceiling],
      async read() {
        ceiling.remove();
        const usd = sources.costCeiling?.() ?? null;
        if (usd !== null) ceiling.set(usd);
      },
    },
  };

  async function refresh(source: string, { gauges, read }: (typeof readers)[keyof MetricsSources]): Promise<void> {
    try {
      await read();
    } catch {
      // Whoever owns the source logs why.
      failures.inc({ source });
      for (const one of gauges) one.reset();
    }
  }

  return {
    registry,
    contentType: registry.contentType,
    async expose() {
      await Promise.all(Object.entries(readers).map(([source, reader]) => refresh(source, reader)));
      return registry.metrics();
    },
    event: (step, reason) => events[step].inc({ reason: knownReasons.has(reason) ? reason : 'other' }),
    launch: (validator, outcome) => launches.inc({ validator, outcome }),
    decision: (decision) =>
      decisions.inc({
        kind: decision.kind,
        reason: decision.kind === 'deploy' ? decision.spec.reason : decision.reason,
      }),
    strategy: (outcome) => strategies.inc({ outcome }),
    gitProblem: () => gitProblems.inc(),
    commit: (branch) => commits.inc({ branch }),
    answer: ({ method, route, status, ms }) =>
      requests.observe({ method, route: route || 'none', status: String(status) }, ms / 1000),
    signatureFailure: (reason) => signatures.inc({ reason }),
    limited: (limit) => limited.inc({ limit }),
  };
}
