// A rolling update that the validator asks for: the new version first and beside the old one where there is room, else in its place with
// the token before the old one is touched (gepetto.md 3.4, E6, E7). A refusal leaves the old one running.

import type { Advice } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { DeployDecision, RemoveDecision } from '../domain/decision.ts';
import { allocateNodePorts, mapPorts, podPorts } from '../domain/nodeport.ts';
import type { Policy } from '../domain/policy.ts';
import { type Random, uuidFrom } from '../domain/random.ts';
import type { Plan, Preemption } from './plan.ts';
import type { Allowance } from './policy.ts';
import { isOpen, type Room, reserve, roomOf } from './room.ts';
import { isBackedOff, pairKey, type World } from './world.ts';

export interface RollOver {
  /** Those of the plan that go now: all but the old versions that wait for their successor. */
  removals: RemoveDecision[];
  deploys: DeployDecision[];
  swaps: Preemption[];
  /** New deployment by old, for each pair that is known. */
  pairs: ReadonlyMap<string, string>;
}

export interface RollContext {
  world: World;
  policy: Policy;
  /** As the plan left it. */
  allowance: Allowance;
  random: Random;
  now: number;
  pairs: ReadonlyMap<string, string>;
  advice?: Advice | undefined;
}

export function rollOver(planned: Plan, context: RollContext): RollOver {
  const { world, policy, allowance } = context;
  const result: RollOver = {
    removals: planned.removals.filter(({ reason }) => reason !== 'rolling-update'),
    deploys: [...planned.deploys],
    swaps: [...planned.preemptions],
    pairs: context.pairs,
  };
  const rolling = planned.removals.filter(({ reason }) => reason === 'rolling-update');
  if (rolling.length === 0) return result;
  const pairs = new Map<string, string>();
  const rooms = roomsBeside(planned, world);
  for (const removal of rolling) {
    const { spec: old } = removal;
    const chute = world.chutes.get(old.chuteId);
    const newcomer = context.pairs.get(old.deploymentId);
    const state = newcomer === undefined ? undefined : stateOf(world, newcomer);
    if (newcomer !== undefined && state) {
      pairs.set(old.deploymentId, newcomer);
      if (state === 'active') result.removals.push(removal);
      continue;
    }
    if (!chute || policy.mode === 'paused') continue;
    if (isBackedOff(planned.memory.refusals, old.chuteId, context.now)) continue;
    const barred = allowance.bars({ chute, gpuCount: chute.gpuCount });
    if (barred && barred !== 'chutes.maximum') {
      allowance.note(barred, { chute });
      continue;
    }
    const beside = adopt(result.deploys, chute, pairs) ?? deployBeside(chute, removal, rooms, planned, context);
    if (beside) {
      if (!result.deploys.includes(beside)) result.deploys.push(beside);
      pairs.set(old.deploymentId, beside.spec.deploymentId);
      continue;
    }
    if (!isOpen(world.health.get(old.server))) continue;
    const deploy = inPlace(chute, removal, rooms, context);
    if (deploy === 'kept') continue;
    if (deploy) result.swaps.push({ deploy, victims: [removal] });
    else result.removals.push(removal);
  }
  return { ...result, pairs };
}

function stateOf(world: World, deploymentId: string): 'active' | 'pending' | undefined {
  if (!world.desired.has(deploymentId)) return undefined;
  return world.lifecycles.get(deploymentId)?.activatedAt === undefined ? 'pending' : 'active';
}

/** A deployment of the new version that the plan makes anyway. */
function adopt(
  deploys: readonly DeployDecision[],
  chute: Chute,
  pairs: ReadonlyMap<string, string>,
): DeployDecision | undefined {
  const paired = new Set(pairs.values());
  return deploys.find(
    ({ spec }) => spec.chuteId === chute.chuteId && spec.jobId === undefined && !paired.has(spec.deploymentId),
  );
}

/** What is free after the plan. A lock keeps new chutes away, not the successor of one that runs there; a cordon does. */
function roomsBeside({ deploys, preemptions }: Plan, world: World): Map<string, Room> {
  const made = [...deploys, ...preemptions.map(({ deploy }) => deploy)];
  const desired = new Map([...world.desired, ...made.map(({ spec }) => [spec.deploymentId, spec] as const)]);
  const servers = world.servers.map((server) => ({ ...server, locked: server.cordoned !== undefined }));
  return roomOf({ ...world, desired, servers });
}

function deployBeside(
  chute: Chute,
  { spec: old }: RemoveDecision,
  rooms: ReadonlyMap<string, Room>,
  { memory }: Plan,
  context: RollContext,
): DeployDecision | undefined {
  const locked = new Set(context.world.servers.filter((server) => server.locked).map(({ name }) => name));
  const byCost = [...rooms.values()].sort(
    (a, b) => a.server.hourlyCost - b.server.hourlyCost || (a.server.name < b.server.name ? -1 : 1),
  );
  for (const room of byCost) {
    const { server } = room;
    if (locked.has(server.name) || !suits(chute, room)) continue;
    if (context.advice?.offers.get(chute.chuteId)?.veto.has(server.name)) continue;
    if (isBackedOff(memory.failures, pairKey(chute.chuteId, server.name), context.now)) continue;
    const model = chute.supportedGpus.find((one) => (room.freeGpus.get(one)?.length ?? 0) >= chute.gpuCount);
    if (model === undefined) continue;
    if (context.allowance.refusal({ chute, gpuCount: chute.gpuCount }, { room, model }, [])) continue;
    const reserved = reserve(room, model, chute.gpuCount, podPorts(chute, false).length, old.diskGb);
    if (!reserved) continue;
    const deploy = decisionFor(chute, room, reserved.gpuIds, reserved.nodePorts, old.diskGb, context);
    context.allowance.take(deploy.spec, []);
    return deploy;
  }
  return undefined;
}

function suits(chute: Chute, { server }: Room): boolean {
  return server.tee === chute.tee && server.validator === chute.validator;
}

/**
 * On the GPUs of the old version, with node ports of its own: the old Service may outlive its pod by a moment. `kept`: the policy lets
 * nothing start there any more, so the old version stays until the validator ends it.
 */
function inPlace(
  chute: Chute,
  removal: RemoveDecision,
  rooms: ReadonlyMap<string, Room>,
  context: RollContext,
): DeployDecision | 'kept' | undefined {
  const { spec: old } = removal;
  const room = rooms.get(old.server);
  if (!room || !suits(chute, room) || old.gpuIds.length < chute.gpuCount) return undefined;
  const models = new Set(room.server.gpus.filter(({ gpuId }) => old.gpuIds.includes(gpuId)).map(({ model }) => model));
  if (![...models].every((model) => chute.supportedGpus.includes(model))) return undefined;
  const { allowance } = context;
  const place = { room, model: [...models][0] ?? '' };
  const refused = allowance.refusal({ chute, gpuCount: chute.gpuCount }, place, [removal], true);
  if (refused) {
    allowance.note(refused, { chute });
    return 'kept';
  }
  const takenPorts = room.takenPorts();
  const nodePorts = allocateNodePorts(takenPorts, podPorts(chute, false).length);
  if (!nodePorts) return undefined;
  for (const port of nodePorts) takenPorts.add(port);
  const deploy = decisionFor(chute, room, old.gpuIds.slice(0, chute.gpuCount), nodePorts, old.diskGb, context);
  allowance.take(deploy.spec, [removal], true);
  return deploy;
}

function decisionFor(
  chute: Chute,
  { server }: Room,
  gpuIds: readonly string[],
  nodePorts: readonly number[],
  diskGb: number,
  { world, random }: RollContext,
): DeployDecision {
  const decisionId = uuidFrom(random);
  const replicas = [...world.desired.values()].filter(
    ({ chuteId, version, jobId }) => chuteId === chute.chuteId && version === chute.version && jobId === undefined,
  );
  return {
    kind: 'deploy',
    decisionId,
    numbers: { multiplier: chute.effectiveComputeMultiplier, gpus: gpuIds.length, hourlyCost: server.hourlyCost },
    alternatives: [],
    replicasBefore: replicas.length,
    spec: {
      deploymentId: uuidFrom(random),
      chuteId: chute.chuteId,
      chuteName: chute.name,
      version: chute.version,
      validator: chute.validator,
      server: server.name,
      gpuIds,
      // A rental keeps its version, so what rolls over has no further ports (gepetto.md D8).
      ports: mapPorts(podPorts(chute, false), nodePorts),
      configId: undefined,
      jobId: undefined,
      diskGb,
      preemptible: chute.preemptible,
      decisionId,
      reason: 'rolling-update',
    },
  };
}
