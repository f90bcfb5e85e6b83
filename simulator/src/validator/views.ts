// What an observer of the simulation sees: the miner's result, and the market as a scenario driver needs it.

import { activeTotal, allChutes, bountyAge, instancesOf, offer, runMultiplier } from './market.ts';
import { accrue, accrued } from './pay.ts';
import type { Violation } from './records.ts';
import type { World } from './world.ts';

export interface ValidatorStats {
  /** Instances claimed and activated since the first start. */
  claims: number;
  activations: number;
  activeInstances: number;
  /** Multiplier-hours paid, those of active instances as if they ended well now. */
  score: number;
  /** Breaches of contract by the miner. */
  violations: Violation[];
  /** Requests with a signature, nonce or hotkey that does not hold. */
  rejected: number;
}

export function statsOf(world: World): ValidatorStats {
  const { claims, activations, violations, rejected } = world.state;
  let seconds = world.state.paid;
  for (const chute of allChutes(world)) {
    for (const instance of instancesOf(world, chute.state.chuteId)) {
      accrue(instance, runMultiplier(chute), world.clock.now());
      seconds += accrued(instance);
    }
  }
  const active = Object.values(world.state.instances).filter(({ activatedAt }) => activatedAt !== null);
  return {
    claims,
    activations,
    activeInstances: active.length,
    score: seconds / 3600,
    violations: [...violations],
    rejected,
  };
}

export interface ChuteView {
  chuteId: string;
  name: string;
  version: string;
  gpuCount: number;
  supportedGpus: readonly string[];
  isPublic: boolean;
  jobOnly: boolean;
  disabled: boolean;
  chutesVersion: string;
  targetCount: number;
  /** Active instances of all miners. */
  activeTotal: number;
  /** Instances of the simulated miners: all, and those that are active. */
  own: number;
  ownActive: number;
  /** Seconds since its bounty opened; undefined without one. */
  bountyAge: number | undefined;
  isUpdating: boolean;
  /** Multiplier a new instance would earn now. */
  offer: number;
}

export function viewChutes(world: World): ChuteView[] {
  return allChutes(world).map((chute) => {
    const { state, entry } = chute;
    const own = instancesOf(world, state.chuteId);
    return {
      chuteId: state.chuteId,
      name: entry.item.name,
      version: state.version,
      gpuCount: entry.item.node_selector.gpu_count,
      supportedGpus: entry.item.supported_gpus,
      isPublic: entry.item.public,
      jobOnly: entry.item.cords.length === 0,
      disabled: state.disabled,
      chutesVersion: entry.item.chutes_version,
      targetCount: state.targetCount,
      activeTotal: activeTotal(world, chute),
      own: own.length,
      ownActive: own.filter(({ activatedAt }) => activatedAt !== null).length,
      bountyAge: bountyAge(world, chute),
      isUpdating: state.rolling !== null,
      offer: offer(world, chute),
    };
  });
}
