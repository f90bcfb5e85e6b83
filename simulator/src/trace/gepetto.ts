// The production planner as a strategy of the trace: each snapshot becomes a world, each decision an action.

import type { Advice } from '@miner/controller/domain/advice.ts';
import type { DeployDecision } from '@miner/controller/domain/decision.ts';
import { policyConfig } from '@miner/controller/domain/policy.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { plan } from '@miner/controller/gepetto/plan.ts';
import { backOff, emptyMemory, holdOff, type Memory, type World } from '@miner/controller/gepetto/world.ts';
import { clockMs } from './gepetto-views.ts';
import { createWorldBuilder } from './gepetto-world.ts';
import type { Action, DeployAction, Snapshot, TraceStrategy } from './protocol.ts';

/** Tokens cost nothing in a trace, so a pass may ask for as many as there are places. */
const policy = policyConfig.parse({
  launchesPerPass: 1000,
  stuckLaunchMinutes: 180,
  limits: { launches: null, removals: null },
});
const unreachableMs = 30_000;

function deployOf({ spec }: DeployDecision): DeployAction {
  return {
    chute_id: spec.chuteId,
    server: spec.server,
    gpu_ids: [...spec.gpuIds],
    job_id: spec.jobId ?? null,
  };
}

/** The two halves of a tick, for whoever asks somebody in between; each snapshot is looked at once. */
export interface Gepetto {
  look(snapshot: Snapshot): World;
  decide(world: World, snapshot: Snapshot, advice?: Advice): Action[];
}

export function createStrategy(seed: number): TraceStrategy {
  const { look, decide } = createGepetto(seed);
  return { act: (snapshot) => decide(look(snapshot), snapshot) };
}

export function createGepetto(seed: number): Gepetto {
  const random = seededRandom(seed);
  const builder = createWorldBuilder();
  let memory: Memory = emptyMemory;
  let asked: (DeployDecision | undefined)[] = [];

  /** A refusal counts against the chute, as after a refused token in production. */
  function hear({ results, now }: Snapshot): void {
    for (const { index, result, detail } of results) {
      const decision = asked[index];
      if (result !== 'denied' || !decision) continue;
      const key = decision.spec.jobId ?? decision.spec.chuteId;
      const at = clockMs(now);
      const refusals =
        detail === '503'
          ? holdOff(memory.refusals, key, at + unreachableMs, detail)
          : backOff(memory.refusals, key, at, detail);
      memory = { ...memory, refusals };
    }
  }

  return {
    look(snapshot) {
      hear(snapshot);
      return builder.world(snapshot);
    },
    decide(world, snapshot, advice) {
      const planned = plan(world, policy, { now: () => clockMs(snapshot.now) }, random, memory, advice);
      memory = planned.memory;
      const actions: Action[] = [];
      asked = [];
      for (const deploy of planned.deploys) {
        actions.push({ type: 'deploy', ...deployOf(deploy) });
        asked.push(deploy);
      }
      for (const { deploy, victims } of planned.preemptions) {
        const ids = victims.map(({ spec }) => spec.deploymentId);
        actions.push({ type: 'preempt', victims: ids, deploy: deployOf(deploy) });
        asked.push(deploy);
      }
      return actions;
    },
  };
}
