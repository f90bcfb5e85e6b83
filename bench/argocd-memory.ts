// Argo CD's memory by the number of GPU servers, each with an API server of its own and eight deployments, followed with our settings; and
// how many of them would fit into 4 GiB.
// Usage: argocd-memory.ts [--minutes N] [members …]; default: 2 4.

import { parseArgs } from 'node:util';
import { reportOf } from './argocd/report.ts';
import { deploy } from './argocd/repository.ts';
import { openStage } from './argocd/stage.ts';
import { startMeter, usageOf } from './argocd/usage.ts';
import { tell } from './ends.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string', default: '10' } },
});
const settledMs = 45_000;
const limitMib = 4096;
const name = 'argocd/application-controller';

setTimeout(() => process.kill(process.pid, 'SIGTERM'), Number(values.minutes) * 60_000).unref();

/** MiB, the lowest that was seen while it is idle: garbage comes and goes. */
async function settledRss(pid: number | undefined): Promise<number> {
  let lowest = Number.POSITIVE_INFINITY;
  for (const until = performance.now() + settledMs; performance.now() < until; ) {
    lowest = Math.min(lowest, usageOf(pid).rss);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  return lowest;
}

const points: { members: number; rss: number }[] = [];
for (const members of positionals.length > 0 ? positionals.map(Number) : [2, 4]) {
  const stage = await openStage({ servers: members, planes: members });
  try {
    const { repository, arrivals } = stage;
    const report = reportOf(`argocd/${members}-members`, { shared: stage.shared }, startMeter(stage.pids));
    const specs = repository.usualSpecs(members);
    await repository.commit(specs.map(deploy));
    await Promise.all(specs.map(({ deploymentId }) => arrivals.at('pod', deploymentId, 120_000)));
    await stage.synced();
    tell(`${members} members are filled; waiting for ${settledMs / 1000} s`);
    const pid = stage.pids().get(name);
    const rss = await settledRss(pid);
    points.push({ members, rss });
    report('rss/argocd/application-controller', rss, 'MiB', 1);
    report('rss-peak/argocd/application-controller', usageOf(pid).peak, 'MiB', 1);
    report('rss/argocd/repo-server', usageOf(stage.pids().get('argocd/repo-server')).rss, 'MiB', 1);
    const [first] = points;
    if (first && first.members !== members) {
      const perMember = (rss - first.rss) / (members - first.members);
      report('per-member', perMember, 'MiB', points.length);
      report('members-in-4-GiB', (limitMib - first.rss) / perMember + first.members, 'members', points.length);
    }
  } finally {
    await stage.stop();
  }
}
process.exit(0);
