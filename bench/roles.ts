// Memory and processor time of controller and Gepetto by the number of GPU servers, each a member cluster with eight one-GPU deployments,
// at the real clock; only images and models are small, so that starts are short. Usage: roles.ts [--minutes N] [servers …]; default:
// 10 100 500. PROFILES=FOLDER keeps CPU profiles and logs of the roles.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endAfter, tell } from './ends.ts';
import { machine } from './machine.ts';
import { openStage, type RoleUsage, roleNames, type Stage } from './roles/stage.ts';
import { gpusPerServer } from './roles/world.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string', default: '60' } },
});
/** Servers that come at once, and what starts on them: the simulation, one process for all, would not answer in time for more. */
const perCommit = 50;
const lookMs = 5_000;
const scrapeMs = 15_000;
const settleMs = 30_000;
const quietMs = 60_000;

endAfter(Number(values.minutes));

/** Scraped meanwhile, as in a cluster with monitoring. */
async function pass(stage: Stage, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= scrapeMs) {
    await sleep(Math.min(left, scrapeMs));
    await stage.scrape();
  }
}

async function until(stage: Stage, what: string, count: number, gauge: string, labels: string): Promise<void> {
  for (let seen = -1; seen < count; ) {
    await sleep(lookMs);
    seen = await stage.gauge(gauge, labels);
    tell(`${what}: ${seen} of ${count}; ${JSON.stringify(await stage.world.stats())}`);
  }
}

type Snapshot = Record<(typeof roleNames)[number], RoleUsage> & { at: number; world: number };

function snapshotOf(stage: Stage): Snapshot {
  const [controller, gepetto] = [stage.usage('controller'), stage.usage('gepetto')];
  return { controller, gepetto, at: performance.now(), world: stage.worldCpu() };
}

async function measure(servers: number): Promise<void> {
  const deployments = servers * gpusPerServer;
  const print = (name: string, value: number, unit: string, n: number) => {
    const figure = { name: `roles/${servers}-servers/${name}`, value: Number(value.toPrecision(3)), unit, n };
    process.stdout.write(`${JSON.stringify({ ...figure, machine: machine() })}\n`);
  };
  const stage = await openStage(servers);

  /** What is in use now, and what it took since `before`. */
  function printPhase(phase: string, n: number, before?: Snapshot): Snapshot {
    const now = snapshotOf(stage);
    for (const role of roleNames) {
      const { rss, peak, sockets, cpu } = now[role];
      print(`${phase}/${role}/rss`, rss, 'MiB', n);
      print(`${phase}/${role}/rss-peak`, peak, 'MiB', n);
      print(`${phase}/${role}/sockets`, sockets, 'sockets', n);
      if (before) print(`${phase}/${role}/cpu`, cpu - before[role].cpu, 's', n);
    }
    if (before) {
      print(`${phase}/simulation/cpu`, now.world - before.world, 's', n);
      print(`${phase}/took`, (now.at - before.at) / 1000, 's', n);
    }
    return now;
  }

  try {
    tell(`controller and Gepetto are up, with ${servers} simulated GPU servers outside`);
    await pass(stage, settleMs);
    const idle = printPhase('empty', 0);
    const names = Object.keys(stage.world.servers);
    for (let from = 0; from < servers; from += perCommit) {
      const some = names.slice(from, from + perCommit);
      stage.addServers(some);
      const gpus = (from + some.length) * gpusPerServer;
      await until(stage, 'GPUs that are verified', gpus, 'miner_gpus', 'state="free"');
    }
    const added = printPhase('servers-in', servers, idle);
    for (let wanted = 0; wanted < deployments; ) {
      const more = Math.min(perCommit * gpusPerServer, deployments - wanted);
      await stage.world.want(more);
      wanted += more;
      await until(stage, 'deployments that are active', wanted, 'miner_deployments', 'state="active"');
    }
    printPhase('active', deployments, added);
    await pass(stage, settleMs);
    const before = snapshotOf(stage);
    await pass(stage, quietMs);
    const after = printPhase('quiet', deployments, before);
    for (const role of roleNames) {
      const share = (after[role].cpu - before[role].cpu) / ((after.at - before.at) / 1000);
      print(`quiet/${role}/cpu-share`, 100 * share, '% of a core', deployments);
    }
    const { violations } = await stage.world.stats();
    print('violations', violations, 'violations', deployments);
  } finally {
    await stage.stop();
  }
}

for (const servers of positionals.length > 0 ? positionals.map(Number) : [10, 100, 500]) await measure(servers);
process.exit(0);
