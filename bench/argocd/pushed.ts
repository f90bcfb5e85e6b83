// From a push to what Argo CD does of it: one deployment more on a random Application, and away again, one after the other. Between push and
// Job the steps are those that the Application's object tells.

import { seededRandom } from '@miner/controller/domain/random.ts';
import type { KubeObject } from '@miner/e2e/cluster/kube.ts';
import { tell } from '../ends.ts';
import { renewed } from './bulk.ts';
import { profileWhile } from './profile.ts';
import { quantiles, reportOf } from './report.ts';
import { deploy, remove, usualSlots } from './repository.ts';
import type { Stage } from './stage.ts';
import { startMeter, usageOf } from './usage.ts';

const steps = ['hinted', 'compared', 'begun', 'operated'] as const;
type Step = (typeof steps)[number];
interface Application extends KubeObject {
  operation?: unknown;
  status?: { operationState?: { phase?: string; finishedAt?: string } };
}

/** The first time after `since` that the object showed each step. */
function watchSteps(stage: Stage) {
  const seen = new Map<string, { since: number; at: Partial<Record<Step, number>> }>();
  const stop = stage.control.kube.watch('argoproj.io/v1alpha1/applications', stage.argocd.namespace, (_, object) => {
    const { metadata, operation, status } = object as Application;
    const followed = seen.get(metadata.name);
    if (!followed) return;
    const { at } = followed;
    const hinted = metadata.annotations?.['argocd.argoproj.io/refresh'] !== undefined;
    const now = performance.now() - followed.since;
    if (hinted) at.hinted ??= now;
    else if (at.hinted !== undefined) at.compared ??= now;
    if (operation !== undefined) at.begun ??= now;
    else if (at.begun !== undefined && status?.operationState?.phase === 'Succeeded') at.operated ??= now;
  });
  return {
    stop,
    follow(server: string) {
      const at: Partial<Record<Step, number>> = {};
      seen.set(`chutes-${server}`, { since: performance.now(), at });
      return at;
    },
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Changes of a busy miner come about that often, one after the other. */
const pauseMs = 300;

export async function pushed(stage: Stage, servers: number, rounds: number, deadline: number): Promise<void> {
  const { repository, arrivals, shared } = stage;
  const meter = startMeter(stage.pids);
  const report = reportOf(`argocd/${servers}-applications/pushed-to-applied`, { shared }, meter);
  const random = seededRandom(servers);
  const watched = watchSteps(stage);
  const { PROFILES } = process.env;
  const profiled = PROFILES && profileWhile(stage, PROFILES, `pushed-${servers}`, 20);
  const times = { deploy: [] as number[], pod: [] as number[], remove: [] as number[], push: [] as number[] };
  const between = new Map<Step, number[]>(steps.map((step) => [step, []]));
  for (let turn = 0; turn < rounds && performance.now() < deadline; turn++) {
    const server = 1 + Math.floor(random() * servers);
    const spec = renewed(repository.specAt(server, usualSlots), servers * 10_000 + turn);
    times.push.push(await repository.commit([deploy(spec)]));
    const followed = watched.follow(spec.server);
    const pushedAt = performance.now();
    times.deploy.push((await arrivals.at('job', spec.deploymentId)) - pushedAt);
    times.pod.push((await arrivals.at('pod', spec.deploymentId)) - pushedAt);
    await pause(pauseMs);
    for (const step of steps) if (followed[step] !== undefined) between.get(step)?.push(followed[step]);
    times.push.push(await repository.commit([remove(spec)]));
    const removedAt = performance.now();
    times.remove.push((await arrivals.at('ending', spec.deploymentId)) - removedAt);
    await pause(pauseMs);
    if (turn % 10 === 9) tell(`${turn + 1} of ${rounds} rounds; last ${Math.round(times.deploy.at(-1) ?? 0)} ms`);
  }
  watched.stop();
  await profiled;
  quantiles(report, 'push', times.push);
  quantiles(report, 'deploy', times.deploy);
  quantiles(report, 'deploy-pod', times.pod);
  quantiles(report, 'remove', times.remove);
  for (const [step, values] of between) quantiles(report, `step-${step}`, values);
  const changes = times.deploy.length + times.remove.length;
  const pids = stage.pids();
  for (const name of ['argocd/application-controller', 'argocd/repo-server']) {
    report(`cpu-per-change/${name}`, (1000 * meter.cpuOf(name)) / changes, 'ms', changes);
    report(`rss/${name}`, usageOf(pids.get(name)).rss, 'MiB', 1);
    report(`rss-peak/${name}`, usageOf(pids.get(name)).peak, 'MiB', 1);
  }
}
