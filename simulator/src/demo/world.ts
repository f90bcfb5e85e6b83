// The simulated outside world of a demo run: validator and cluster on their ports, set up anew or going on in an earlier folder.

import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { type Clock, scaledClock } from '@miner/controller/domain/clock.ts';
import { type Random, seededRandom } from '@miner/controller/domain/random.ts';
import {
  type ClusterOptions,
  loadModelSizes,
  makeServers,
  type SimulatedCluster,
  type SimulatedServer,
  startCluster,
} from '../cluster/cluster.ts';
import { runScenario } from '../validator/scenario.ts';
import { type SimulatedValidator, startValidator } from '../validator/validator.ts';
import { runFaults } from './faults.ts';
import type { DemoFolder, RunState } from './folder.ts';

export interface DemoWorld {
  state: RunState;
  clock: Clock;
  random: Random;
  servers: SimulatedServer[];
  validator: SimulatedValidator;
  cluster: SimulatedCluster;
  /** Simulated ms since the folder's first start. */
  elapsedMs(): number;
  /** Demand, bounties, updates and faults, until the signal aborts. */
  runEvents(signal: AbortSignal, tell: (news: string) => void): Promise<void>;
  save(): void;
  close(): Promise<void>;
}

/** A quarter of the usual work: at a fast clock, computing must stay well below the simulated time of a proof. */
const proofSizes = { n: 64, num: 2 };

/** Speed up to which computing a proof stays well within its simulated time. */
const fastestTimedProof = 60;

/** What of the simulated cluster is not as usual. */
export interface WorldOptions extends Pick<ClusterOptions, 'backendOf'> {
  /** Gets the usual servers. */
  servers?: (usual: SimulatedServer[]) => SimulatedServer[];
}

export async function startWorld(
  folder: DemoFolder,
  state: RunState,
  clockEpoch: number,
  options: WorldOptions = {},
): Promise<DemoWorld> {
  const clock = scaledClock(state.speed, clockEpoch);
  const random = seededRandom(state.seed);
  const usual = makeServers(state.servers, state.seed, state.addressBase);
  const servers = options.servers?.(usual) ?? usual;
  const journal = createWriteStream(join(folder.path, 'simulator.log'), { flags: 'a' });
  const log = (event: string, fields: Record<string, unknown>) =>
    journal.write(`${JSON.stringify({ at: new Date(clock.now()).toISOString(), event, ...fields })}\n`);
  const validator = await startValidator({
    port: state.ports.validator,
    hotkey: { ss58: folder.validator.address, seed: folder.validator.seed },
    clock,
    registeredHotkeys: [folder.miner.address],
    stateFile: join(folder.path, 'validator.json'),
    allowPrivateHosts: true,
    graval: { sizes: proofSizes, timing: state.speed <= fastestTimedProof },
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
    proofSizes,
    random,
    apiPort: state.ports.cluster,
    stateFile: join(folder.path, 'cluster.json'),
    log,
    ...(options.backendOf && { backendOf: options.backendOf }),
  });
  const save = () => folder.save({ ...state, simulatedAt: clock.now() });
  save();
  return {
    state,
    clock,
    random,
    servers,
    validator,
    cluster,
    elapsedMs: () => clock.now() - state.startedAt,
    async runEvents(signal, tell) {
      const fleetModels = servers.map((server) => server.gpuShortRef);
      const elapsedMs = clock.now() - state.startedAt;
      await Promise.all([
        runScenario(validator, { clock, random, signal, fleetModels }),
        runFaults({ cluster, validator, servers, clock, signal, elapsedMs, tell }),
      ]);
    },
    save,
    async close() {
      save();
      await cluster.close();
      await validator.close();
      journal.end();
    },
  };
}
