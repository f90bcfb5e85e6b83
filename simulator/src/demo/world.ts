// The simulated outside world of a demo run: validator and cluster on their ports, set up anew or going on in an earlier folder.

import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Clock, scaledClock } from '@miner/controller/domain/clock.ts';
import { type Random, seededRandom } from '@miner/controller/domain/random.ts';
import {
  loadModelSizes,
  makeServers,
  type SimulatedCluster,
  type SimulatedServer,
  startCluster,
} from '../cluster/cluster.ts';
import { type SimulatedValidator, startValidator } from '../validator/validator.ts';
import type { DemoFolder, RunState } from './folder.ts';
import type { DemoOptions } from './options.ts';

export interface DemoWorld {
  state: RunState;
  clock: Clock;
  clockEpoch: number;
  random: Random;
  servers: SimulatedServer[];
  validator: SimulatedValidator;
  cluster: SimulatedCluster;
  /** Simulated ms since the folder's first start. */
  elapsedMs(): number;
  save(): void;
  close(): Promise<void>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** The epoch at which a clock of this speed reads `simulatedAt` now. */
function epochFor(simulatedAt: number, speed: number, wallNow: number): number {
  return speed === 1 ? wallNow : (wallNow * speed - simulatedAt) / (speed - 1);
}

async function newState(options: DemoOptions, random: Random): Promise<RunState> {
  const startedAt = Date.now();
  return {
    seed: options.seed,
    servers: options.servers,
    speed: options.speed,
    addressBase: `127.${16 + Math.floor(random() * 200)}.${Math.floor(random() * 200)}.0`
      .split('.')
      .slice(0, 3)
      .join('.'),
    ports: { api: options.port ?? (await freePort()), validator: await freePort(), cluster: await freePort() },
    startedAt,
    simulatedAt: startedAt,
  };
}

export async function startWorld(options: DemoOptions, folder: DemoFolder): Promise<DemoWorld> {
  // Addresses differ from run to run, so that two demos can run side by side.
  const earlier = folder.earlier;
  const state = earlier ? { ...earlier, speed: options.speed } : await newState(options, Math.random);
  if (options.port !== undefined) state.ports.api = options.port;
  const clockEpoch = epochFor(state.simulatedAt, state.speed, Date.now());
  const clock = scaledClock(state.speed, clockEpoch);
  const random = seededRandom(state.seed);
  const servers = makeServers(state.servers, state.seed, state.addressBase);
  const log = () => undefined;
  const validator = await startValidator({
    port: state.ports.validator,
    hotkey: { ss58: folder.validator.address, seed: folder.validator.seed },
    clock,
    registeredHotkeys: [folder.miner.address],
    stateFile: join(folder.path, 'validator.json'),
    allowPrivateHosts: true,
    random,
    log,
  });
  const cluster = await startCluster({
    servers,
    repository: folder.repository,
    clock,
    minerHotkey: folder.miner.address,
    validator: { hotkey: folder.validator.address, api: validator.url },
    modelSizes: loadModelSizes(),
    random,
    apiPort: state.ports.cluster,
    stateFile: join(folder.path, 'cluster.json'),
    log,
  });
  const save = () => folder.save({ ...state, simulatedAt: clock.now() });
  save();
  return {
    state,
    clock,
    clockEpoch,
    random,
    servers,
    validator,
    cluster,
    elapsedMs: () => clock.now() - state.startedAt,
    save,
    async close() {
      save();
      await cluster.close();
      await validator.close();
    },
  };
}

/** The demo's own `miner.yaml`: real hotkeys and addresses of this run. */
export function minerYaml(folder: DemoFolder, validator: SimulatedValidator): string {
  return `# Written by the demo. Change it in the repository, on branch main, and the running miner takes it over.
hotkey: ${folder.miner.address}
validators:
  - hotkey: ${folder.validator.address}
    registry: registry.chutes.ai
    api: ${validator.url}
    socket: ${validator.socketUrl}
policy:
  mode: active
`;
}
