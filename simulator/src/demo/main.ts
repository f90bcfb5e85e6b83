// `npm run demo`: the whole miner against a simulated validator and cluster, in one process tree. Shows a live table, or with --json one
// object per line: `ready` first, `summary` last.

import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { Status } from '@miner/controller/roles/status.ts';
import { runScenario } from '../validator/scenario.ts';
import { runFaults } from './faults.ts';
import { openFolder } from './folder.ts';
import { startMiner } from './miner-process.ts';
import { type DemoOptions, parseOptions } from './options.ts';
import { createOutput, type Output } from './output.ts';
import { countLive, type Report, reportOf } from './report.ts';
import { type DemoWorld, minerYaml, startWorld } from './world.ts';

const lookEveryMs = 1000;
const saveEveryMs = 500;

async function addServers(world: DemoWorld, api: MinerApi, validator: string, output: Output): Promise<void> {
  const known = new Set(((await api.get('/servers/')) as { name: string }[]).map(({ name }) => name));
  const adding = world.servers
    .filter(({ name }) => !known.has(name))
    .map(async ({ name, hourlyCost, gpuShortRef }) => {
      const request = {
        name,
        validator,
        hourly_cost: hourlyCost,
        gpu_short_ref: gpuShortRef,
        agent_api: world.cluster.agentUrl(name),
      };
      try {
        await api.addNode(request, ({ message }) =>
          output.line({ type: 'add-node', server: name, message }, `${name}: ${message}`),
        );
      } catch (error) {
        output.news(`${name} could not be added: ${messageOf(error)}`);
      }
    });
  await Promise.all(adding);
}

async function reportNow(world: DemoWorld, status: Status, repository: string): Promise<Report> {
  const { score, violations } = world.validator.stats();
  return reportOf(status, await countLive(repository), score, [...violations, ...world.cluster.violations()]);
}

async function run(options: DemoOptions): Promise<void> {
  const startedAt = Date.now();
  const folder = openFolder(options.dir);
  const stop = new AbortController();
  const output = createOutput(options.json);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  // Whoever started this may be killed without a word.
  const parent = process.ppid;
  const watch = setInterval(() => process.ppid !== parent && stop.abort(), 500);

  const world = await startWorld(options, folder);
  if (!folder.earlier) folder.writeMinerYaml(minerYaml(folder, world.validator));
  const miner = startMiner({
    folder,
    port: world.state.ports.api,
    clockSpeed: world.state.speed,
    clockEpoch: world.clockEpoch,
    onRestart: (how) => output.news(`the miner ended (${how}) and was started again`),
  });
  try {
    await miner.ready();
    output.line(
      {
        type: 'ready',
        api: miner.url,
        hotkeyFile: folder.hotkeyFile,
        validator: { hotkey: folder.validator.address, api: world.validator.url, socket: world.validator.socketUrl },
        repository: folder.repository,
        servers: world.servers.map(({ name, gpuShortRef, gpuCount, hourlyCost, ip }) => ({
          name,
          agent_api: world.cluster.agentUrl(name),
          gpu_short_ref: gpuShortRef,
          gpu_count: gpuCount,
          hourly_cost: hourlyCost,
          ip,
        })),
        dir: folder.path,
        pids: { demo: process.pid, miner: miner.pid() },
      },
      `The miner is up. Its decisions are commits: git -C ${folder.repository} log live`,
    );
    const api = createMinerApi(miner.url, folder.miner);
    const { signal } = stop;
    const { clock, random, validator, cluster, servers } = world;
    const scenario = runScenario(validator, {
      clock,
      random,
      signal,
      fleetModels: servers.map((server) => server.gpuShortRef),
    });
    const faults = runFaults({
      cluster,
      validator,
      servers,
      clock,
      signal,
      elapsedMs: world.elapsedMs(),
      tell: output.news,
    });
    const adding = options.addServers ? addServers(world, api, folder.validator.address, output) : Promise.resolve();
    const report = await watchUntilDone(options, world, api, output, folder.repository, startedAt, signal);
    stop.abort();
    await Promise.all([scenario, faults, adding]);
    output.summary(
      {
        type: 'summary',
        ...report,
        seconds: (Date.now() - startedAt) / 1000,
        simulatedSeconds: Math.round(world.elapsedMs() / 1000),
        repository: folder.repository,
      },
      folder.repository,
    );
  } finally {
    clearInterval(watch);
    await miner.stop();
    await world.close();
    folder.release();
  }
}

/** Look every second until time is up or somebody asks to stop; the last report is the one taken after that. */
async function watchUntilDone(
  options: DemoOptions,
  world: DemoWorld,
  api: MinerApi,
  output: Output,
  repository: string,
  startedAt: number,
  signal: AbortSignal,
): Promise<Report> {
  const deadline = options.forMs === undefined ? Number.POSITIVE_INFINITY : startedAt + options.forMs;
  const saving = setInterval(() => world.save(), saveEveryMs);
  let report: Report | undefined;
  try {
    for (;;) {
      try {
        const status = (await api.get('/status')) as Status;
        report = await reportNow(world, status, repository);
        output.look({ status, report, elapsed: world.elapsedMs() / 1000, speed: world.state.speed, repository });
      } catch (error) {
        // The miner may be starting again.
        output.line(
          { type: 'unreachable', message: messageOf(error) },
          `the miner does not answer: ${messageOf(error)}`,
        );
      }
      const left = deadline - Date.now();
      if (report && (signal.aborted || left <= 0)) return report;
      if (signal.aborted || left < -10_000)
        throw new MinerError('E-STORE', 'the miner never told its state; see miner.log');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, Math.min(lookEveryMs, left)));
        signal.addEventListener('abort', () => [clearTimeout(timer), resolve()], { once: true });
      });
    }
  } finally {
    clearInterval(saving);
  }
}

try {
  await run(parseOptions(process.argv.slice(2)));
  process.exit(0);
} catch (error) {
  console.error(error instanceof MinerError ? `${error.code}: ${error.message}` : messageOf(error));
  process.exit(error instanceof MinerError && error.code === 'E-IN-USE' ? 2 : 1);
}
