// What goes wrong in the demo: one GPU server loses power after half an hour and comes back ten minutes later.

import type { Clock } from '@miner/controller/domain/clock.ts';
import type { SimulatedCluster, SimulatedServer } from '../cluster/cluster.ts';
import type { SimulatedValidator } from '../validator/validator.ts';

const dieAfterMinutes = 30;
const backAfterMinutes = 10;

export interface FaultOptions {
  cluster: SimulatedCluster;
  validator: SimulatedValidator;
  servers: readonly SimulatedServer[];
  clock: Clock;
  signal: AbortSignal;
  /** Simulated ms that this run folder has seen already. */
  elapsedMs: number;
  tell(news: string): void;
}

export async function runFaults({
  cluster,
  validator,
  servers,
  clock,
  signal,
  elapsedMs,
  tell,
}: FaultOptions): Promise<void> {
  const victim = servers.at(-1);
  const wait = dieAfterMinutes * 60_000 - elapsedMs;
  if (!victim || wait < 0) return;
  await clock.sleep(wait, signal);
  if (signal.aborted) return;
  tell(`${victim.name} lost power`);
  await cluster.killNode(victim.name);
  validator.nodeLost(victim.ip);
  await clock.sleep(backAfterMinutes * 60_000, signal);
  if (signal.aborted) return;
  await cluster.reviveNode(victim.name);
  validator.nodeFound(victim.ip);
  tell(`${victim.name} is back, with nothing running`);
}
