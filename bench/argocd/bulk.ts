// Many changes in one commit: how long until Argo CD has carried out all of them, and how long a single one waits that is decided meanwhile.

import { uuidOf } from '@miner/controller/clusterrepo/testing/fixture.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { profileWhile } from './profile.ts';
import { quantiles, reportOf } from './report.ts';
import { deploy, remove, usualSlots } from './repository.ts';
import { type Stage, tell } from './stage.ts';
import { startMeter } from './usage.ts';

const limitMs = 400_000;
/** Shares of the bulk that are applied when a single one is decided. */
const meanwhile = [0.1, 0.3, 0.5, 0.7];

async function untilShare(stage: Stage, share: number, of: number, until: number): Promise<void> {
  while (stage.arrivals.jobs() < share * of && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Fills the first `servers` servers; single ones go to spare servers and to servers that are being filled, by turns. */
export async function fill(stage: Stage, servers: number, spare: number): Promise<void> {
  const { repository, arrivals, shared } = stage;
  const meter = startMeter(stage.pids);
  const report = reportOf(`argocd/${servers}-applications/bulk`, { shared }, meter);
  const specs = Array.from({ length: servers * usualSlots }, (_, i) =>
    repository.specAt(1 + Math.floor(i / usualSlots), i % usualSlots),
  );
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
  report('argocd-cpu', meter.cpuOf('argocd/application-controller'), 's', specs.length);
  report('repo-server-cpu', meter.cpuOf('argocd/repo-server'), 's', specs.length);
  tell(`all applied in ${(last / 1000).toFixed(1)} s`);
  await Promise.all(singles);
  await stage.synced();
  report('all-synced', (performance.now() - pushedAt) / 1000, 's', specs.length);
  quantiles(report, 'meanwhile-elsewhere', elsewhere);
  quantiles(report, 'meanwhile-among', among);
  await profiled;
}

/** Takes the first `servers` servers' deployments away, in one commit. */
export async function empty(stage: Stage, servers: number): Promise<void> {
  const { repository, arrivals, shared } = stage;
  const report = reportOf(`argocd/${servers}-applications/bulk-remove`, { shared }, startMeter(stage.pids));
  const specs = Array.from({ length: servers * usualSlots }, (_, i) =>
    repository.specAt(1 + Math.floor(i / usualSlots), i % usualSlots),
  );
  await repository.commit(specs.map(remove));
  const pushedAt = performance.now();
  const gone = await Promise.all(specs.map(({ deploymentId }) => arrivals.at('ending', deploymentId, limitMs)));
  report('all-deleted', (Math.max(...gone) - pushedAt) / 1000, 's', specs.length);
}

/** Deployment ids of the fixture are numbers: each change gets one of its own, or what came and went would look like one. */
export function renewed(spec: DeploymentSpec, turn: number): DeploymentSpec {
  return { ...spec, deploymentId: uuidOf(10_000_000 + turn), decisionId: uuidOf(20_000_000 + turn) };
}
