// A pass in mode `dry-run`: planned like any other and written to branch `proposed` instead of `live`. Nothing is launched, no token is
// asked for, the store is not touched; the same world proposes the same, with the same ids.

import type { Advice } from '../domain/advice.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import { uuid5 } from '../domain/ids.ts';
import { seededRandom } from '../domain/random.ts';
import type { PassPorts, PassResult, Snapshot } from './pass.ts';
import { planOn } from './plan.ts';
import { rollOver } from './rolling.ts';
import type { PassMemory } from './swap.ts';

/** Stands where the config id of a launch would: only a launch gives one. */
const noConfigId = '00000000-0000-0000-0000-000000000000';

/** Its ids follow from what it is, so that only another proposal makes another tree. */
function asLaunched(decision: DeployDecision): DeployDecision {
  const { chuteId, version, server, gpuIds, jobId = '' } = decision.spec;
  const name = `${chuteId} ${version} ${server} ${gpuIds.join()} ${jobId}`;
  const decisionId = uuid5(`proposed decision ${name}`);
  const deploymentId = uuid5(`proposed deployment ${name}`);
  return { ...decision, decisionId, spec: { ...decision.spec, deploymentId, decisionId, configId: noConfigId } };
}

/** Of the memory only what was seen missing goes on, so that a loss is proposed once it would be decided. */
export async function propose(
  { world, policy, live, configCommit }: Snapshot,
  advice: Advice | undefined,
  ports: Pick<PassPorts, 'clock' | 'repo' | 'report' | 'obstacle'>,
  memory: PassMemory,
): Promise<PassResult> {
  const random = seededRandom(1);
  const { planned, allowance } = planOn(world, policy, ports.clock, random, memory, advice);
  const now = ports.clock.now();
  const pairs = memory.rolled ?? new Map();
  const rolled = rollOver(planned, { world, policy, allowance, random, now, pairs, advice });
  const removals = [...rolled.removals, ...rolled.swaps.flatMap(({ victims }) => victims)];
  const deploys = [...rolled.deploys, ...rolled.swaps.map(({ deploy }) => deploy)];
  const decisions: Decision[] = [
    ...removals.filter(({ spec }) => live.deployments.has(spec.deploymentId)),
    ...deploys.map(asLaunched),
  ];
  const result = {
    memory: { ...memory, missing: planned.memory.missing, advice },
    committed: [],
    refused: 0,
    held: planned.held,
    blocked: allowance.blocked(),
    again: false,
    failure: undefined,
  };
  const obstacle = await ports.obstacle?.();
  if (obstacle !== undefined) return { ...result, held: [obstacle, ...result.held], proposed: [] };
  try {
    await ports.repo.propose({ decisions, configCommit, base: live.commit });
  } catch (error) {
    if (!(error instanceof MinerError) || (error.code !== 'E-GUARD' && error.code !== 'E-GIT-CONFLICT')) throw error;
    ports.report(`nothing is proposed now: ${error.message}`, error.detail);
    return { ...result, proposed: [] };
  }
  return { ...result, proposed: decisions };
}
