// Fill free GPUs, best value first: value = effective compute multiplier per GPU-dollar-hour (gepetto.md 4.1). Among servers of equal
// value the tightest fit wins, then the name, so that the order is total and the same input gives the same plan.

import type { Chute } from '../domain/chute.ts';
import type { Policy } from '../domain/config.ts';
import type { Alternative, DeployDecision } from '../domain/decision.ts';
import type { DeployReason, PortMapping } from '../domain/deployment.ts';
import { type Random, uuidFrom } from '../domain/random.ts';
import { hasAttestationPort } from '../domain/version.ts';
import type { Candidate } from './candidates.ts';
import { type Room, reserve } from './fleet.ts';
import { isBackedOff, type Memory, pairKey } from './world.ts';

const defaultDiskGb = 10;
const shownAlternatives = 3;

interface Option {
  candidate: Candidate;
  room: Room;
  model: string;
  value: number;
}

export interface FillContext {
  policy: Policy;
  memory: Memory;
  now: number;
  random: Random;
  reasonFor: (chute: Chute) => DeployReason;
}

/** Multiplier earned per dollar: what one GPU-hour of this server brings when it runs this chute. */
export function scoreOf(chute: Chute, hourlyCost: number, policy: Policy): number {
  return chute.effectiveComputeMultiplier / (Math.max(hourlyCost, policy.minimumHourlyCost) * chute.gpuCount);
}

function bestOption(candidate: Candidate, rooms: Iterable<Room>, context: FillContext): Option | undefined {
  const { chute } = candidate;
  let best: (Option & { free: number }) | undefined;
  for (const room of rooms) {
    const { server } = room;
    if (server.validator !== chute.validator || server.tee !== chute.tee || room.freeDiskGb < defaultDiskGb) continue;
    const value = scoreOf(chute, server.hourlyCost, context.policy);
    if (best && value < best.value) continue;
    for (const [model, ids] of room.freeGpus) {
      if (ids.length < chute.gpuCount || !chute.supportedGpus.includes(model)) continue;
      if (isBackedOff(context.memory.failures, pairKey(chute.chuteId, server.name), context.now)) continue;
      const better =
        !best ||
        value > best.value ||
        ids.length < best.free ||
        (ids.length === best.free && server.name < best.room.server.name);
      if (better) best = { candidate, room, model, value, free: ids.length };
    }
  }
  return best;
}

function byValue(a: Option, b: Option): number {
  return b.value - a.value || (a.candidate.chute.chuteId < b.candidate.chute.chuteId ? -1 : 1);
}

/** Ports 8000 and 8001, 8002 for attestation; each gets the node port at the same place of the list. */
function portsOf(chute: Chute, nodePorts: readonly number[]): PortMapping[] {
  const inside = hasAttestationPort(chute) ? [8000, 8001, 8002] : [8000, 8001];
  return inside.map((port, i) => ({ port, proto: 'TCP', nodePort: nodePorts[i] ?? 0 }));
}

function decide(option: Option, others: readonly Option[], context: FillContext): DeployDecision | undefined {
  const { candidate, room, model, value } = option;
  const { chute } = candidate;
  const reserved = reserve(room, model, chute.gpuCount, hasAttestationPort(chute) ? 3 : 2, defaultDiskGb);
  if (!reserved) return undefined;
  const decisionId = uuidFrom(context.random);
  const alternatives: Alternative[] = others.slice(0, shownAlternatives).map((other) => ({
    chuteName: other.candidate.chute.name,
    server: other.room.server.name,
    value: other.value,
    because: 'lower value',
  }));
  return {
    kind: 'deploy',
    decisionId,
    numbers: {
      value,
      multiplier: chute.effectiveComputeMultiplier,
      gpus: chute.gpuCount,
      hourlyCost: room.server.hourlyCost,
    },
    alternatives,
    replicasBefore: candidate.replicas,
    spec: {
      deploymentId: uuidFrom(context.random),
      chuteId: chute.chuteId,
      chuteName: chute.name,
      version: chute.version,
      validator: chute.validator,
      server: room.server.name,
      gpuIds: reserved.gpuIds,
      ports: portsOf(chute, reserved.nodePorts),
      configId: undefined,
      jobId: undefined,
      diskGb: defaultDiskGb,
      preemptible: chute.preemptible,
      decisionId,
      reason: context.reasonFor(chute),
    },
  };
}

/** Place until no candidate fits or the launch budget is used up. Takes what it places out of `rooms`. */
export function fill(
  candidates: readonly Candidate[],
  rooms: ReadonlyMap<string, Room>,
  context: FillContext,
): DeployDecision[] {
  const decisions: DeployDecision[] = [];
  let options = candidates
    .map((candidate) => bestOption(candidate, rooms.values(), context))
    .filter((option) => option !== undefined)
    .sort(byValue);
  while (options.length > 0 && decisions.length < context.policy.launchesPerPass) {
    const [option, ...others] = options as [Option, ...Option[]];
    // Earlier placements may have used up what this option counted on.
    const current = bestOption(option.candidate, rooms.values(), context);
    if (!current) {
      options = others;
      continue;
    }
    if (others[0] && byValue(current, others[0]) > 0) {
      options = [current, ...others].sort(byValue);
      continue;
    }
    const decision = decide(current, others, context);
    if (decision) decisions.push(decision);
    const left = { ...option.candidate, room: option.candidate.room - 1, replicas: option.candidate.replicas + 1 };
    options = decision && left.room > 0 ? insert({ ...current, candidate: left }, others) : others;
  }
  return decisions;
}

function insert(option: Option, sorted: readonly Option[]): Option[] {
  const at = sorted.findIndex((other) => byValue(option, other) < 0);
  return at < 0 ? [...sorted, option] : [...sorted.slice(0, at), option, ...sorted.slice(at)];
}
