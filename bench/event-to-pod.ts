// From a validator's event to the pod: the whole product as deployed, on real clusters with a real Argo CD, and in the same run the same
// Service and Job by direct calls, so that the price of GitOps is a ratio. Each round is one bounty on a chute of which nothing runs.
// Usage: event-to-pod.ts [--rounds N] [--minutes N] [--servers N]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { currentProgram, git } from '@miner/e2e/bootstrap.ts';
import { startFleet } from '@miner/e2e/cluster/fleet.ts';
import { readObjects } from '@miner/e2e/cluster/kube.ts';
import { ensureTools } from '@miner/e2e/cluster/tools.ts';
import { startMiner, writeServerFile } from '@miner/e2e/miner.ts';
import { coldChute, filesOnLive, patience, type Scene, satisfied, until, untilSynced, want } from '@miner/e2e/scene.ts';
import { type Direct, openDirect } from './argocd/direct.ts';
import { quantiles, type Report, reportOf } from './argocd/report.ts';
import { startMeter, usageOf } from './argocd/usage.ts';
import { tell } from './ends.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    minutes: { type: 'string', default: '11' },
    servers: { type: 'string', default: '2' },
  },
});
/** As deployed: the default of the roles. */
const pollSeconds = 10;
const limitMs = Number(values.minutes) * 60_000;
const deadline = performance.now() + limitMs - 30_000;

interface Round {
  total: number;
  steps: Record<string, number>;
  direct: number;
}

interface Sight {
  /** ms since the Unix epoch. */
  at: number;
  deploymentId: string;
}

interface Watched {
  /** The next pod of a chute that was never seen before. */
  podOf(chuteId: string): Promise<Sight>;
  jobOf(deploymentId: string): Sight | undefined;
  stop(): void;
}

/** First sight of each chute's Jobs and pods; nobody is asked meanwhile, so that looking costs what is measured nothing. */
function watch({ fleet }: Scene): Watched {
  const jobs = new Map<string, Sight>();
  const pods = new Map<string, Sight>();
  const awaited = new Map<string, (sight: Sight) => void>();
  const into =
    (seen: Map<string, Sight>) => (type: string, object: { metadata: { labels?: Record<string, string> } }) => {
      const { 'chutes/deployment-id': deploymentId, 'chutes/chute-id': chuteId = '' } = object.metadata.labels ?? {};
      if (type !== 'ADDED' || deploymentId === undefined || seen.has(deploymentId)) return;
      const sight = { at: Date.now(), deploymentId };
      seen.set(deploymentId, sight);
      if (seen === pods) awaited.get(chuteId)?.(sight);
    };
  const stops = fleet.servers.flatMap(({ plane: { kube } }) => [
    kube.watch('batch/v1/jobs', 'chutes', into(jobs)),
    kube.watch('v1/pods', 'chutes', into(pods)),
  ]);
  return {
    podOf: (chuteId) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no pod within two minutes')), patience.ms);
        awaited.set(chuteId, (sight) => {
          clearTimeout(timer);
          awaited.delete(chuteId);
          resolve(sight);
        });
      }),
    jobOf: (deploymentId) => jobs.get(deploymentId),
    stop() {
      for (const stop of stops) stop();
    },
  };
}

async function addServers(scene: Scene): Promise<void> {
  const { fleet, miner } = scene;
  for (const { server } of fleet.servers) {
    writeServerFile(miner, server.name);
    await miner.startAgent(server.name);
    await until(`${server.name} is verified`, async () => {
      const found = (await miner.status()).servers.find(({ name }) => name === server.name);
      return found !== undefined && found.gpus > 0 && found.gpusVerified === found.gpus && found.health === 'healthy';
    });
    await untilSynced(scene, `chutes-${server.name}`);
    tell(`${server.name} is taken in`);
  }
}

async function round(scene: Scene, turn: number, seen: Watched, directs: Map<string, Direct>): Promise<Round> {
  const { fleet, miner } = scene;
  const { chuteId } = await coldChute(scene, fleet.servers[turn % fleet.servers.length]?.server.name ?? '');
  const awaited = seen.podOf(chuteId);
  const startedAt = Date.now();
  want(scene, chuteId, 1);
  const { at: pod, deploymentId } = await awaited;
  const row = await until('it is noted as committed', async () => {
    const { deployments } = await miner.status();
    return deployments.find((one) => one.deploymentId === deploymentId && one.committedAt !== undefined);
  });
  const { server, plannedAt, tokenAt = 0, secretAt = 0, committedAt: committed = 0 } = row;
  const job = seen.jobOf(deploymentId)?.at ?? 0;
  const path = filesOnLive(scene).find((one) => one.includes(deploymentId)) ?? '';
  const manifest = git(fleet.git.gitdir, 'show', `live:${path}`);
  const launched = await directs.get(server)?.launch(readObjects(manifest));
  const direct = (await launched?.pod) ?? 0;
  await launched?.remove();
  const marks = { planned: plannedAt, token: tokenAt, secret: secretAt, committed, job, pod };
  let before = startedAt;
  const steps: Record<string, number> = {};
  for (const [step, at] of Object.entries(marks)) {
    steps[step] = at - before;
    before = at;
  }
  satisfied(scene, chuteId);
  await miner.api.delete(`/deployments/${deploymentId}`);
  await until(`${deploymentId} is gone`, async () => {
    const { deployments } = await miner.status();
    const found = deployments.find((one) => one.deploymentId === deploymentId);
    return found === undefined || found.phase === 'gone';
  });
  return { total: pod - startedAt, steps, direct };
}

function tellAll(report: Report, rounds: readonly Round[]): void {
  const median = (of: readonly number[]) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? Number.NaN;
  const until = ({ steps }: Round) => (steps.planned ?? 0) + (steps.token ?? 0) + (steps.secret ?? 0);
  const totals = rounds.map(({ total }) => total);
  const sameByCalls = rounds.map((one) => until(one) + one.direct);
  quantiles(report, 'total', totals);
  quantiles(report, 'same-by-direct-calls', sameByCalls);
  quantiles(
    report,
    'service-and-job-by-direct-calls',
    rounds.map(({ direct }) => direct),
  );
  report('ratio', median(totals) / median(sameByCalls), 'times', rounds.length);
  for (const step of Object.keys(rounds[0]?.steps ?? {}))
    quantiles(
      report,
      `step-${step}`,
      rounds.map(({ steps }) => steps[step] ?? Number.NaN),
    );
}

const dir = mkdtempSync(join(tmpdir(), 'bench-events-'));
const end = (code: number) => {
  if (process.env.KEEP) tell(`logs are in ${dir}`);
  else rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
};
process.once('SIGINT', () => end(130)).once('SIGTERM', () => end(143));
/** Tells of the rounds so far. */
let finish = (): void => undefined;
setTimeout(() => {
  finish();
  end(1);
}, limitMs).unref();

try {
  const tools = await ensureTools();
  const fleet = await startFleet({ dir, tools, servers: Number(values.servers), tell });
  const miner = await startMiner(fleet, currentProgram, pollSeconds);
  const scene: Scene = { dir, fleet, miner };
  await addServers(scene);
  const seen = watch(scene);
  const directs = new Map<string, Direct>();
  for (const { server, plane } of fleet.servers) directs.set(server.name, await openDirect(plane));
  const pids = () =>
    new Map([
      ...[...fleet.processes(), miner.controller, miner.gepetto, ...miner.agents.values()].map(
        (one) => [one.name, one.pid()] as const,
      ),
      ['bench', process.pid] as const,
    ]);
  const meter = startMeter(pids);
  const rounds: Round[] = [];
  const wanted = Number(values.rounds);
  finish = () => {
    const report = reportOf('event-to-pod', { servers: fleet.servers.length }, meter);
    tellAll(report, rounds);
    for (const [name, pid] of pids()) {
      if (!/controller$|gepetto|repo-server/.test(name)) continue;
      report(`cpu/${name}`, meter.cpuOf(name), 's', rounds.length);
      report(`rss/${name}`, usageOf(pid).rss, 'MiB', 1);
    }
  };
  for (let turn = 0; turn < wanted && performance.now() < deadline; turn++) {
    try {
      rounds.push(await round(scene, turn, seen, directs));
      tell(`round ${turn + 1}: ${JSON.stringify(rounds.at(-1))}`);
    } catch (error) {
      tell(`round ${turn + 1} failed: ${error instanceof Error ? error.message : error}`);
    }
  }
  finish();
  if (rounds.length === 0) throw new Error('no round came to its end');
  end(0);
} catch (error) {
  console.error(error);
  end(1);
}
