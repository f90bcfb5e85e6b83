// `npm run demo`: the whole miner against a simulated validator and cluster, in one process tree. Shows a live table, or with --json one
// object per line: `ready` first, `summary` last.

import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import { type DemoFolder, openFolder } from './folder.ts';
import { type MinerProcess, startMiner } from './miner-process.ts';
import { type DemoOptions, parseOptions } from './options.ts';
import { createOutput, type Output } from './output.ts';
import { minerYaml, prepareRun } from './runstate.ts';
import type { DemoWorld } from './world.ts';

async function addServers(world: DemoWorld, api: MinerApi, validator: string, output: Output): Promise<void> {
  const known = new Set(((await api.get('/servers/')) as { name: string }[]).map(({ name }) => name));
  const adding = world.servers
    .filter(({ name }) => !known.has(name))
    .map(async ({ name, hourlyCost, gpuShortRef }) => {
      const agentApi = world.cluster.agentUrl(name);
      const request = { name, validator, hourly_cost: hourlyCost, gpu_short_ref: gpuShortRef, agent_api: agentApi };
      try {
        await api.addNode(request, ({ message }) => {
          output.line({ type: 'add-node', server: name, message }, `${name}: ${message}`);
        });
      } catch (error) {
        output.news(`${name} could not be added: ${messageOf(error)}`);
      }
    });
  await Promise.all(adding);
}

function hintsOf({ repository, hotkeyFile }: DemoFolder, { url }: MinerProcess): string[] {
  return [
    `git -C ${repository} log live`,
    `MINER_API=${url} HOTKEY=${hotkeyFile} npm run --silent chutes-miner -- status`,
  ];
}

function tellReady(folder: DemoFolder, world: DemoWorld, miner: MinerProcess, output: Output): void {
  const { validator, cluster } = world;
  const servers = world.servers.map(({ name, gpuShortRef, gpuCount, hourlyCost, ip }) => ({
    name,
    agent_api: cluster.agentUrl(name),
    gpu_short_ref: gpuShortRef,
    gpu_count: gpuCount,
    hourly_cost: hourlyCost,
    ip,
  }));
  output.line(
    {
      type: 'ready',
      api: miner.url,
      hotkeyFile: folder.hotkeyFile,
      validator: { hotkey: folder.validator.address, api: validator.url, socket: validator.socketUrl },
      repository: folder.repository,
      servers,
      dir: folder.path,
      pids: { demo: process.pid, miner: miner.pid() },
    },
    ['The miner is up. Its decisions are commits; ask it while it runs:', ...hintsOf(folder, miner)].join('\n  '),
  );
}

async function run(options: DemoOptions, stop: AbortController): Promise<void> {
  const startedAt = Date.now();
  const folder = await openFolder(options.dir);
  const output = createOutput(options.json);
  const { state, clockEpoch } = await prepareRun(options, folder);
  if (!folder.earlier) folder.writeMinerYaml(minerYaml(folder, state));
  const miner = startMiner({
    folder,
    port: state.ports.api,
    clockSpeed: state.speed,
    clockEpoch,
    onRestart: (how) => output.news(`the miner ended (${how}) and was started again`),
  });
  let world: DemoWorld | undefined;
  try {
    // The simulation loads while the miner starts.
    world = await (await import('./world.ts')).startWorld(folder, state, clockEpoch);
    await miner.ready();
    tellReady(folder, world, miner, output);
    const api = createMinerApi(miner.url, folder.miner);
    const events = world.runEvents(stop.signal, output.news);
    const adding = options.addServers ? addServers(world, api, folder.validator.address, output) : undefined;
    const { watchUntilDone } = await import('./watch.ts');
    const report = await watchUntilDone({
      options,
      world,
      api,
      output,
      folder,
      hints: hintsOf(folder, miner),
      startedAt,
      signal: stop.signal,
    });
    stop.abort();
    const seconds = (Date.now() - startedAt) / 1000;
    const simulatedSeconds = Math.round(world.elapsedMs() / 1000);
    await miner.stop();
    await Promise.all([events, adding]);
    output.summary(
      { type: 'summary', ...report, seconds, simulatedSeconds, repository: folder.repository },
      folder.repository,
    );
  } finally {
    await miner.stop();
    await world?.close();
    await folder.release();
  }
}

/** Whoever started this may be killed without a word; then nothing must stay behind. */
function stopWithParent(stop: AbortController): void {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop.abort(), 500).unref();
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
stopWithParent(stop);
try {
  await run(parseOptions(process.argv.slice(2)), stop);
  process.exit(0);
} catch (error) {
  console.error(error instanceof MinerError ? `${error.code}: ${error.message}` : messageOf(error));
  process.exit(error instanceof MinerError && error.code === 'E-IN-USE' ? 2 : 1);
}
