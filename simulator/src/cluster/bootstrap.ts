// The pod of a GPU verification: the miner's own bootstrap server over GPUs that do not exist. By default they prove by refc1 in this
// process, and as long as the validator expects of the GPU model; the pod's clock is the cluster's.

import type { Clock } from '@miner/controller/domain/clock.ts';
import type { GravalBackend } from '@miner/graval/backend.ts';
import { startBootstrapServer } from '@miner/graval/server/start.ts';
import type { ProofSizes } from '../refc1.ts';
import { refc1Backend } from '../refc1-backend.ts';
import { modelOf, type SimulatedDevice } from './devices.ts';
import type { Listener } from './listen.ts';
import type { SimulatedServer } from './servers.ts';

/** What proves the GPUs of a server. */
export type BackendOf = (server: SimulatedServer, devices: readonly SimulatedDevice[]) => GravalBackend;

/** Longer than any proof takes at the pace of the clock; the validator has patience of its own. */
const proveLimitMs = 3_600_000;

/** Proofs take what the validator's table says of the model, in time of `clock`. */
export function pacedRefc1(sizes: ProofSizes, clock: Clock): BackendOf {
  return ({ gpuShortRef }, devices) => {
    const { iterations, estimateSeconds } = modelOf(gpuShortRef).graval;
    return refc1Backend(devices, {
      sizes,
      async pace(asked, startedAt, signal) {
        const dueAt = startedAt + (estimateSeconds * asked * 1000) / iterations;
        await clock.sleep(Math.max(0, dueAt - clock.now()), signal);
      },
      clock,
    });
  };
}

export interface BootstrapPod {
  host: string;
  port: number;
  backend: GravalBackend;
  /** Of the container: MINER_HOTKEY_SS58 and VALIDATOR_WHITELIST (comma list). */
  env: Readonly<Record<string, string>>;
}

const silent = () => undefined;

/** Rejects when the address cannot be bound. */
export async function startBootstrapPod({ host, port, backend, env }: BootstrapPod): Promise<Listener> {
  const running = await startBootstrapServer({
    backend,
    miner: env.MINER_HOTKEY_SS58 ?? '',
    validators: (env.VALIDATOR_WHITELIST ?? '').split(',').filter((hotkey) => hotkey !== ''),
    host,
    port,
    statusPort: undefined,
    proveLimitMs,
    log: { info: silent, warn: silent, error: silent },
  });
  return { port, close: running.stop };
}
