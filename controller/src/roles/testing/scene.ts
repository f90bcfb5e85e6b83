// A market and servers for the tests of roles: the simulated validator and clusters in a folder of their own, with the hotkey and the
// template that a miner of that market starts from.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MinerApi } from '@miner/cli/miner-api.ts';
import { type DemoFolder, openFolder } from '@miner/simulator/demo/folder.ts';
import { parseOptions } from '@miner/simulator/demo/options.ts';
import { minerYaml, prepareRun } from '@miner/simulator/demo/runstate.ts';
import { type DemoWorld, startWorld, type WorldOptions } from '@miner/simulator/demo/world.ts';
import type { ChuteView } from '@miner/simulator/validator/views.ts';
import { needsLaunchToken } from '../../domain/version.ts';
import { type Wire, wireTo } from '../../store/contract/wire.ts';
import type { Status } from '../status.ts';

export interface Scene {
  world: DemoWorld;
  /** Between the miner and the validator; claims of pods do not pass it. */
  toValidator: Wire;
  folder: DemoFolder;
  speed: number;
  clockEpoch: number;
  close(): Promise<void>;
}

export async function startScene(servers: number, options?: WorldOptions, speed = 120): Promise<Scene> {
  const parent = mkdtempSync(join(tmpdir(), 'roles-'));
  const folder = await openFolder(join(parent, 'run'));
  const { state, clockEpoch } = await prepareRun(
    parseOptions(['--servers', String(servers), '--speed', String(speed)]),
    folder,
  );
  const validatorAddress = `127.0.0.1:${state.ports.validator}`;
  const toValidator = await wireTo(`http://${validatorAddress}`);
  folder.writeMinerYaml(minerYaml(folder, state).replaceAll(validatorAddress, new URL(toValidator.url).host));
  const world = await startWorld(folder, state, clockEpoch, options);
  return {
    world,
    toValidator,
    folder,
    speed: state.speed,
    clockEpoch,
    async close() {
      await toValidator.close();
      await world.close();
      await folder.release();
      rmSync(parent, { recursive: true, force: true });
    },
  };
}

export async function until<T>(
  look: () => Promise<T | undefined> | T | undefined,
  what: string,
  timeoutMs = 30_000,
): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not seen within ${timeoutMs} ms: ${what}`);
}

export async function statusOf({ api }: { api: MinerApi }): Promise<Status> {
  return (await api.get('/status')) as Status;
}

export function git(repository: string, ...args: string[]): string {
  return execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8' });
}

/** A chute for one GPU of the first server, of which the miner runs nothing. */
export function coldChute(world: DemoWorld): ChuteView | undefined {
  const [server] = world.servers;
  return world.validator.chutes().find((one) => {
    const fits = one.gpuCount === 1 && one.supportedGpus.includes(server?.gpuShortRef ?? '');
    return fits && one.isPublic && !one.jobOnly && !one.disabled && one.own === 0 && needsLaunchToken(one);
  });
}

/** Add a server of the world through the miner API; gives the messages of the stream. */
export async function addServer(api: MinerApi, { world, folder }: Scene, index = 0): Promise<string[]> {
  const server = world.servers[index];
  if (!server) throw new Error(`the world has no server ${index}`);
  const messages: string[] = [];
  await api.addNode(
    {
      name: server.name,
      validator: folder.validator.address,
      hourly_cost: server.hourlyCost,
      gpu_short_ref: server.gpuShortRef,
      agent_api: world.cluster.agentUrl(server.name),
    },
    ({ message }) => messages.push(message),
  );
  return messages;
}
