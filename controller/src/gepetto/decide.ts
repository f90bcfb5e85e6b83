// One placement written down: GPUs and ports taken out of the room, the numbers that decided, and what it beat.

import { type Advice, defaultStrategy, weightOf } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { Alternative, DeployDecision } from '../domain/decision.ts';
import type { DeployReason } from '../domain/deployment.ts';
import { mapPorts, podPorts } from '../domain/nodeport.ts';
import type { Policy } from '../domain/policy.ts';
import { type Random, uuidFrom } from '../domain/random.ts';
import { type Candidate, keyOf } from './candidates.ts';
import type { Site } from './field.ts';
import type { Heap } from './heap.ts';
import type { Allowance } from './policy.ts';
import { reserve } from './room.ts';
import type { Tenant } from './tenants.ts';
import type { Memory, World } from './world.ts';

const shownAlternatives = 3;

export interface Option {
  candidate: Candidate;
  site: Site;
  victims: readonly Tenant[];
  gain: number;
  net: number;
  /** Of the site when this was found. */
  stamp: number;
}

export interface Placement {
  decision: DeployDecision;
  victims: readonly Tenant[];
}

export interface FillContext {
  world: World;
  advice: Advice | undefined;
  policy: Policy;
  allowance: Allowance;
  memory: Memory;
  now: number;
  random: Random;
  reasonFor: (chute: Chute) => DeployReason;
}

/** Multiplier earned per dollar: what one GPU-hour of this server brings when it runs this chute. */
export function scoreOf(chute: Chute, hourlyCost: number, policy: Policy): number {
  return chute.effectiveComputeMultiplier / (Math.max(hourlyCost, policy.minimumHourlyCost) * chute.gpuCount);
}

function isShort({ candidate }: Option): number {
  return candidate.replicas < candidate.minimum ? 1 : 0;
}

export function byValue(a: Option, b: Option): number {
  return (
    isShort(b) - isShort(a) ||
    b.net / b.candidate.gpuCount - a.net / a.candidate.gpuCount ||
    (a.candidate.chute.chuteId < b.candidate.chute.chuteId ? -1 : 1)
  );
}

export function decide(option: Option, options: Heap<Option>, context: FillContext): Placement | undefined {
  const { candidate, site, victims, net, gain } = option;
  const { chute } = candidate;
  const { room, model } = site;
  for (const victim of victims) {
    site.free.push(...victim.spec.gpuIds);
    room.freeDiskGb += victim.spec.diskGb;
  }
  const ports = podPorts(chute, candidate.job !== undefined);
  const reserved = reserve(room, model, candidate.gpuCount, ports.length, candidate.diskGb);
  if (victims.length > 0) {
    const victimGpus = new Set(victims.flatMap(({ spec }) => spec.gpuIds));
    const left = site.free.filter((gpuId) => !victimGpus.has(gpuId));
    site.free.splice(0, site.free.length, ...left);
  }
  if (!reserved) return undefined;
  const decisionId = uuidFrom(context.random);
  const weight = weightOf(context.advice?.offers.get(keyOf(candidate)), model, room.server.name);
  const value = scoreOf(chute, room.server.hourlyCost, context.policy);
  return {
    victims,
    decision: {
      kind: 'deploy',
      decisionId,
      numbers: {
        value,
        multiplier: chute.effectiveComputeMultiplier,
        gpus: candidate.gpuCount,
        hourlyCost: room.server.hourlyCost,
        ...(weight === 1 ? {} : { weight }),
        gain,
        net,
      },
      strategy: context.advice?.strategy ?? defaultStrategy,
      alternatives: alternativesOf(option, options, context),
      replicasBefore: candidate.replicas,
      spec: {
        deploymentId: uuidFrom(context.random),
        chuteId: chute.chuteId,
        chuteName: chute.name,
        version: chute.version,
        validator: chute.validator,
        server: room.server.name,
        gpuIds: reserved.gpuIds,
        ports: mapPorts(ports, reserved.nodePorts),
        configId: undefined,
        jobId: candidate.job?.jobId,
        diskGb: candidate.diskGb,
        preemptible: candidate.job ? false : chute.preemptible,
        decisionId,
        reason: candidate.job ? 'job' : context.reasonFor(chute),
      },
    },
  };
}

/** What it displaces, and the next best of all candidates: each with what it would have earned. */
function alternativesOf(option: Option, options: Heap<Option>, { world, policy }: FillContext): Alternative[] {
  const { hourlyCost, name } = option.site.room.server;
  const displaced = option.victims.map(({ spec, worth }): Alternative => {
    const chute = world.chutes.get(spec.chuteId);
    return {
      chuteName: spec.chuteName,
      server: name,
      value: chute ? scoreOf(chute, hourlyCost, policy) : 0,
      because: `runs there and has ${worth.toFixed(2)} multiplier-hours left to earn; the newcomer ${option.gain.toFixed(2)}`,
    };
  });
  const own = perGpu(option);
  const others = options.first(shownAlternatives).map((other): Alternative => {
    const { candidate, site } = other;
    const first = isShort(option) > isShort(other);
    return {
      chuteName: candidate.chute.name,
      server: site.room.server.name,
      value: scoreOf(candidate.chute, site.room.server.hourlyCost, policy),
      because: first
        ? 'policy.chutes.minimum comes first'
        : `${perGpu(other)} instead of ${own} multiplier-hours for each GPU`,
    };
  });
  return [...displaced, ...others];
}

function perGpu({ net, candidate }: Option): string {
  return (net / candidate.gpuCount).toFixed(2);
}
