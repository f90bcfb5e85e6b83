// What a run is made of before anything starts: ports, addresses, seed and the time on the simulated clock. Light to load, so that the
// miner can be started while the simulation still loads.

import { createServer } from 'node:net';
import type { DemoFolder, RunState } from './folder.ts';
import type { DemoOptions } from './options.ts';

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

/** The epoch (whole ms) at which a clock of this speed reads `simulatedAt` now. */
function epochFor(simulatedAt: number, speed: number, wallNow: number): number {
  return speed === 1 ? wallNow : Math.round((wallNow * speed - simulatedAt) / (speed - 1));
}

async function newState(options: DemoOptions): Promise<RunState> {
  const startedAt = Date.now();
  return {
    seed: options.seed,
    servers: options.servers,
    speed: options.speed,
    addressBase: `127.${16 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 200)}.0`
      .split('.')
      .slice(0, 3)
      .join('.'),
    ports: { api: options.port ?? (await freePort()), validator: await freePort(), cluster: await freePort() },
    startedAt,
    simulatedAt: startedAt,
  };
}

export interface Start {
  state: RunState;
  /** ms since the Unix epoch, for `scaledClock`. */
  clockEpoch: number;
}

/** A new run, or the earlier one of the folder at the time at which it stopped. */
export async function prepareRun(options: DemoOptions, folder: DemoFolder): Promise<Start> {
  const { earlier } = folder;
  const state = earlier ? { ...earlier, speed: options.speed } : await newState(options);
  if (options.port !== undefined) state.ports.api = options.port;
  return { state, clockEpoch: epochFor(state.simulatedAt, state.speed, Date.now()) };
}

/** The demo's own `miner.yaml`: real hotkeys and addresses of this run. */
export function minerYaml(folder: DemoFolder, state: RunState): string {
  return `# Written by the demo. Change it in the repository, on branch main, and the running miner takes it over.
hotkey: ${folder.miner.address}
validators:
  - hotkey: ${folder.validator.address}
    registry: registry.chutes.ai
    api: http://127.0.0.1:${state.ports.validator}
    socket: ws://127.0.0.1:${state.ports.validator}
policy:
  mode: active
`;
}
