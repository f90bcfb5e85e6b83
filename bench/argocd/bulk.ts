// Many changes in one commit: how long until Argo CD has carried out all of them, and how long a single one waits that is decided meanwhile.

import { uuidOf } from '@miner/controller/clusterrepo/testing/fixture.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { readObjects } from '@miner/e2e/cluster/kube.ts';
import { tell } from '../ends.ts';
import { type Launch, openDirect } from './direct.ts';
import { profileWhile } from './profile.ts';
import { cpuOfEach, quantiles, reportOf } from './report.ts';
import { deploy, remove, usualSlots } from './repository.ts';
import type { Stage } from './stage.ts';
import { startMeter } from './usage.ts';

const limitOf = (servers: number): number => Math.max(400_000, servers * 4_000);
/** Shares of the bulk that are applied when a single one is decided. */
const meanwhile = [0.1, 0.3, 0.5, 0.7];

async function untilShare(stage: Stage, share: number, of: number, until: number): Promise<void> {
  while (stage.arrivals.jobs() < share * of && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Fills the first `servers` servers; single ones go to spare servers and to servers that are being filled, by turns. */
export async function fill(stage: Stage, servers: number, spare: number): Promise<void> {
  const { repository, arrivals, shared } = stage;
  const limitMs = limitOf(servers);
  const meter = startMeter(stage.pids);
  const report = reportOf(`argocd/${servers}-applications/bulk`, { shared }, meter);
  const specs = repository.usualSpecs(servers);
  const elsewhere: number[] = [];
  const among: number[] = [];

  async function single(turn: number): Promise<void> {
    const outside = turn % 2 === 0;
    const server = outside ? servers + 1 + (turn % spare) : 1 + ((turn * 37) % servers);
    const spec = repository.specAt(server, usualSlots);
    await repository.commit([deploy(spec)]);
    const pushedAt = performance.now();
    const waited = (await arrivals.at('job', spec.deploymentId, limitMs)) - pushedAt;
    tell(`decided meanwhile ${outside ? 'elsewhere' : 'among'}: ${Math.round(waited)} ms`);
    (outside ? elsewhere : among).push(waited);
    await repository.commit([remove(spec)]);
    await arrivals.at('ending', spec.deploymentId, limitMs);
  }

  tell(`${specs.length} deployments in one commit`);
  const { PROFILES } = process.env;
  const profiled = PROFILES && profileWhile(stage, PROFILES, `bulk-${servers}`, servers > 20 ? 20 : 5);
  const commitMs = await repository.commit(specs.map(deploy));
  const pushedAt = performance.now();
  const singles = meanwhile.map(async (share, turn) => {
    await untilShare(stage, share, specs.length, pushedAt + limitMs);
    await single(turn);
  });
  const all = await Promise.all(specs.map(({ deploymentId }) => arrivals.at('job', deploymentId, limitMs)));
  const last = Math.max(...all) - pushedAt;
  report('commit', commitMs, 'ms', specs.length);
  report('all-applied', last / 1000, 's', specs.length);
  cpuOfEach(report, meter, specs.length);
  tell(`all applied in ${(last / 1000).toFixed(1)} s`);
  await Promise.all(singles);
  await stage.synced();
  report('all-synced', (performance.now() - pushedAt) / 1000, 's', specs.length);
  quantiles(report, 'meanwhile-elsewhere', elsewhere);
  quantiles(report, 'meanwhile-among', among);
  await profiled;
}

const atATime = 16;

async function each<T extends object>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (let next = left.pop(); next; next = left.pop()) await work(next);
    }),
  );
}

/**
 * As many by direct calls, where Argo CD does not look: what the API servers, their controllers and KWOK need on this machine, and so the
 * least that any way to apply them can take.
 */
export async function direct(stage: Stage, servers: number): Promise<void> {
  const { repository, planes, shared } = stage;
  const meter = startMeter(stage.pids);
  const report = reportOf(`argocd/${servers}-applications/direct`, { shared }, meter);
  const opened = await Promise.all(planes.map(openDirect));
  const waiting = repository.usualSpecs(servers).map((spec) => ({
    opener: opened[repository.planeOf(spec.server)],
    objects: readObjects(repository.manifestOf(spec)),
  }));
  const startedAt = performance.now();
  const launched: Launch[] = [];
  await each(waiting, async ({ opener, objects }) => {
    if (opener) launched.push(await opener.launch(objects));
  });
  const seconds = () => (performance.now() - startedAt) / 1000;
  report('all-applied', seconds(), 's', launched.length);
  await Promise.all(launched.map(({ pod }) => pod));
  report('all-pods', seconds(), 's', launched.length);
  cpuOfEach(report, meter, launched.length);
  await each(launched, ({ remove }) => remove());
  for (const { stop } of opened) stop();
}

/** Takes the first `servers` servers' deployments away, in one commit. */
export async function empty(stage: Stage, servers: number): Promise<void> {
  const { repository, arrivals, shared } = stage;
  const report = reportOf(`argocd/${servers}-applications/bulk-remove`, { shared }, startMeter(stage.pids));
  const specs = repository.usualSpecs(servers);
  await repository.commit(specs.map(remove));
  const pushedAt = performance.now();
  const gone = await Promise.all(
    specs.map(({ deploymentId }) => arrivals.at('ending', deploymentId, limitOf(servers))),
  );
  report('all-deleted', (Math.max(...gone) - pushedAt) / 1000, 's', specs.length);
}

/** Deployment ids of the fixture are numbers: each change gets one of its own, or what came and went would look like one. */
export function renewed(spec: DeploymentSpec, turn: number): DeploymentSpec {
  return { ...spec, deploymentId: uuidOf(10_000_000 + turn), decisionId: uuidOf(20_000_000 + turn) };
}
