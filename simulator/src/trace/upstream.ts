// The rules of the upstream miner over the snapshots of a trace, the baseline that other strategies are compared with: value per
// GPU-dollar, one new deployment per cycle, bounties with preemption, jobs (gepetto.md 4.1 to 4.6 and 6). Nothing is scaled down.

import { type Random, seededRandom } from '@miner/controller/domain/random.ts';
import type { Action, ChuteView, DeploymentView, JobView, Snapshot, TraceStrategy } from './protocol.ts';
import { createFleet, defaultDiskGb, type Host, type UpstreamFleet } from './upstream-fleet.ts';

/** Victims are older than this since activation. */
const preemptionAge = 62 * 60;

/** What one answer is made from. */
interface Turn {
  snapshot: Snapshot;
  fleet: UpstreamFleet;
  chutes: ReadonlyMap<string, ChuteView>;
  /** Chutes with any own deployment. */
  present: Set<string>;
  /** `chute version` of own deployments that are neither active nor jobs. */
  pending: Set<string>;
  /** Chutes with an own deployment that is not active, whatever its version. */
  waiting: Set<string>;
  /** Active instances on the network by chute, less the victims of this answer. */
  instances: Map<string, number>;
  actions: Action[];
}

const versionKey = ({ chute_id, version }: { chute_id: string; version: string }) => `${chute_id} ${version}`;

function startTurn(snapshot: Snapshot, random: Random): Turn {
  const fleet = createFleet(snapshot, random);
  const present = new Set<string>();
  const pending = new Set<string>();
  const waiting = new Set<string>();
  for (const deployment of fleet.deployments()) {
    present.add(deployment.chute_id);
    if (deployment.state === 'active') continue;
    waiting.add(deployment.chute_id);
    if (deployment.job_id === null) pending.add(versionKey(deployment));
  }
  const chutes = new Map(snapshot.chutes.map((chute) => [chute.chute_id, chute]));
  const instances = new Map(snapshot.chutes.map(({ chute_id, active_total }) => [chute_id, active_total]));
  return { snapshot, fleet, chutes, present, pending, waiting, instances, actions: [] };
}

function remember({ present, pending, waiting }: Turn, chute: ChuteView, isJob: boolean): void {
  present.add(chute.chute_id);
  waiting.add(chute.chute_id);
  if (!isJob) pending.add(versionKey(chute));
}

function deployOn(turn: Turn, chute: ChuteView, host: Host, job?: JobView): void {
  const diskGb = job?.disk_gb ?? defaultDiskGb;
  turn.fleet.book(host, chute, diskGb);
  turn.actions.push({ type: 'deploy', chute_id: chute.chute_id, server: host.view.name, job_id: job?.job_id ?? null });
  remember(turn, chute, job !== undefined);
}

/** Deployments of one server to remove, poorest first, until the chute fits; undefined if it cannot (gepetto.md 4.6 step 5). */
function victimsOn(turn: Turn, host: Host, chute: ChuteView): DeploymentView[] | undefined {
  const victims: DeploymentView[] = [];
  const left = new Map<string, number>();
  let free = host.freeGpus;
  const poorestFirst = [...host.deployments].sort((a, b) => (a.compute_multiplier ?? 0) - (b.compute_multiplier ?? 0));
  for (const deployment of poorestFirst) {
    if (free >= chute.gpu_count) break;
    const { chute_id, activated_at, compute_multiplier, preemptible, job_id, gpu_ids } = deployment;
    if (job_id !== null || !preemptible || activated_at === null || chute_id === chute.chute_id) continue;
    if (turn.snapshot.now - activated_at <= preemptionAge) continue;
    if ((compute_multiplier ?? 0) >= chute.effective_compute_multiplier) continue;
    const instances = left.get(chute_id) ?? turn.instances.get(chute_id) ?? 0;
    if (instances <= 1) continue;
    left.set(chute_id, instances - 1);
    victims.push(deployment);
    free += gpu_ids.length;
  }
  return free >= chute.gpu_count ? victims : undefined;
}

/** The first suitable server on which victims make room; no comparison between servers. */
function preemptFor(turn: Turn, chute: ChuteView, job?: JobView): void {
  if (turn.waiting.has(chute.chute_id)) return;
  const diskGb = job?.disk_gb ?? defaultDiskGb;
  for (const host of turn.fleet.suitable(chute, diskGb)) {
    const victims = victimsOn(turn, host, chute);
    if (!victims) continue;
    turn.fleet.book(host, chute, diskGb, victims);
    for (const { chute_id } of victims) turn.instances.set(chute_id, (turn.instances.get(chute_id) ?? 0) - 1);
    turn.actions.push({
      type: 'preempt',
      victims: victims.map(({ deployment_id }) => deployment_id),
      deploy: { chute_id: chute.chute_id, server: host.view.name, job_id: job?.job_id ?? null },
    });
    remember(turn, chute, job !== undefined);
    return;
  }
}

function onBounty(turn: Turn, chuteId: string): void {
  const chute = turn.chutes.get(chuteId);
  // A job-only chute has nothing that a bounty could start.
  if (!chute || chute.job_only || turn.present.has(chuteId)) return;
  const host = turn.fleet.pick(chute);
  if (host) deployOn(turn, chute, host);
  else preemptFor(turn, chute);
}

function onCreated(turn: Turn, chuteId: string): void {
  const chute = turn.chutes.get(chuteId);
  if (!chute || chute.job_only || turn.present.has(chuteId)) return;
  const host = turn.fleet.pick(chute);
  if (host) deployOn(turn, chute, host);
}

function onJob(turn: Turn, jobId: string): void {
  const { jobs, miner_hotkey } = turn.snapshot;
  const job = jobs.find(({ job_id }) => job_id === jobId);
  const chute = job && turn.chutes.get(job.chute_id);
  if (!chute || job.attempted || job.exclude.includes(miner_hotkey)) return;
  const host = turn.fleet.pick(chute, job.disk_gb);
  if (host) deployOn(turn, chute, host, job);
  else preemptFor(turn, chute, job);
}

function handleEvents(turn: Turn): void {
  for (const event of turn.snapshot.events) {
    if (event.type === 'bounty_change' && event.state === 'open') onBounty(turn, event.chute_id);
    else if (event.type === 'chute_created') onCreated(turn, event.chute_id);
    else if (event.type === 'job_created') onJob(turn, event.job_id);
  }
}

/** One autoscaler cycle: candidates by value, of which the first that gets a token is deployed. */
function autoscale({ fleet, snapshot, pending, actions }: Turn): void {
  // A failing feed aborts the cycle.
  if (snapshot.feeds.status === 'error') return;
  const candidates: { chute: ChuteView; value: number }[] = [];
  for (const chute of snapshot.chutes) {
    const multiplier = chute.effective_compute_multiplier;
    if (chute.job_only || !chute.scalable || multiplier <= 0) continue;
    const cost = fleet.pick(chute)?.view.hourly_cost ?? 0;
    if (cost > 0) candidates.push({ chute, value: multiplier / (cost * chute.gpu_count) });
  }
  candidates.sort((a, b) => b.value - a.value);
  for (const { chute } of candidates) {
    if (pending.has(versionKey(chute))) continue;
    // Upstream picks again when it deploys, so the scored server may be another one.
    const host = fleet.pick(chute);
    if (host) actions.push({ type: 'deploy', chute_id: chute.chute_id, server: host.view.name, group: 'cycle' });
  }
}

/** The baseline; `seed` decides between equally good servers. */
export function createStrategy(seed: number): TraceStrategy {
  const random = seededRandom(seed);
  return {
    act(snapshot) {
      const turn = startTurn(snapshot, random);
      handleEvents(turn);
      autoscale(turn);
      return turn.actions;
    },
  };
}
