// One pass: look, plan, launch, commit, record. Everything before the commit can be undone or left to the next pass; the commit is the
// decision. Passes never overlap: whoever calls this runs them one after the other.

import type { Advice } from '../domain/advice.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import type { Policy } from '../domain/policy.ts';
import type { ClusterRepo, ControllerLink, LiveTree, Store, StrategyFile } from '../domain/ports.ts';
import type { Random } from '../domain/random.ts';
import type { Blocked } from './blocked.ts';
import { carryOut, releaseJobs } from './carryout.ts';
import { type Batch, type CommitPorts, commitAll, drop, idsOf, launchesOf } from './commit.ts';
import { launchAll } from './launch.ts';
import { type Plan, plan, planOn } from './plan.ts';
import { propose } from './propose.ts';
import { avoidReverted, noteReverts } from './revert.ts';
import { rollOver } from './rolling.ts';
import { type Settled, settle } from './settle.ts';
import { type PassMemory, queueOf, withMemory } from './swap.ts';
import type { World } from './world.ts';

export interface Snapshot {
  world: World;
  /** In force at that moment. */
  policy: Policy;
  /** Commit of `main` the policy and servers came from. */
  configCommit: string;
  live: LiveTree;
  /** The owner's strategy, when there is one. */
  strategy?: StrategyFile | undefined;
}

/** `held`: why the default decides although there is a strategy. */
export interface Advised {
  advice: Advice;
  held: string | undefined;
}

export interface PassPorts extends CommitPorts {
  random: Random;
  look(): Promise<Snapshot>;
  /** Ask the owner's strategy about this world; never rejects. */
  advise?(strategy: StrategyFile | undefined, world: World): Promise<Advised | undefined>;
  link: CommitPorts['link'] & Pick<ControllerLink, 'launch'>;
  repo: CommitPorts['repo'] & Pick<ClusterRepo, 'propose'>;
  store: CommitPorts['store'] & Pick<Store, 'decisions'>;
  /** Why nothing can be committed now, one sentence; no token is asked for then. Absent where nothing can be in the way. */
  obstacle?(): Promise<string | undefined>;
}

export interface PassResult {
  memory: PassMemory;
  committed: readonly Decision[];
  refused: number;
  held: readonly string[];
  /** What the policy kept from happening. */
  blocked: readonly Blocked[];
  /** Decisions that only branch `proposed` has: the mode is `dry-run`. */
  proposed: readonly Decision[];
  /** A refusal left room, or something was learned that makes room: plan again at once. */
  again: boolean;
  /** Why something that was decided did not get onto `live`; the next pass has to wait. */
  failure: unknown;
}

export async function runPass(ports: PassPorts, memory: PassMemory): Promise<PassResult> {
  const first = await ports.look();
  if (!memory.unsettled || first.policy.mode === 'dry-run') return decide(first, ports, memory);
  const settled = await settle(first, ports, memory);
  if (settled.memory.unsettled || settled.failure !== undefined) return idle(first, ports, settled);
  const result = await decide(await ports.look(), ports, settled.memory);
  return { ...result, committed: [...settled.committed, ...result.committed] };
}

/** What can be done while a commit cannot: the bookkeeping. */
async function idle(snapshot: Snapshot, ports: PassPorts, settled: Settled): Promise<PassResult> {
  const { memory, committed, failure } = settled;
  const held = settled.obstacle === undefined ? [] : [settled.obstacle];
  const since = memory.unsettled?.since ?? ports.clock.now();
  const open = memory.unsettled ? launchesOf(memory.unsettled) : [];
  const waiting = [...(memory.waiting ?? []), ...open.map((decision) => ({ decision, victims: [], since }))];
  const world = withMemory(snapshot.world, waiting, memory, ports.clock.now());
  const seen: PassMemory = { ...memory, waiting };
  const planned = plan(world, snapshot.policy, ports.clock, ports.random, seen);
  await noteReverts(planned.reverted, snapshot.live.commit, ports);
  for (const effect of planned.effects) await carryOut(effect, ports);
  return { ...pausedResult(memory, planned, held, ports.clock.now()), committed, failure };
}

/** What a removal teaches is learned when it is committed; what was looked at twice or taken out by a person is known now. */
function pausedResult(memory: PassMemory, planned: Plan, obstacles: readonly string[], now: number): PassResult {
  const failures = avoidReverted(memory.failures, planned.reverted, now);
  const held = [...obstacles, ...planned.held];
  const kept = { ...memory, failures, missing: planned.memory.missing };
  const { blocked } = planned;
  return { memory: kept, committed: [], refused: 0, held, blocked, proposed: [], again: false, failure: undefined };
}

async function decide(snapshot: Snapshot, ports: PassPorts, memory: PassMemory): Promise<PassResult> {
  const { live, policy } = snapshot;
  const before = (memory.waiting ?? []).filter(({ decision }) => !live.deployments.has(decision.spec.deploymentId));
  const now = ports.clock.now();
  const world = withMemory(snapshot.world, before, memory, now);
  const advised = await ports.advise?.(snapshot.strategy, world);
  const advice = advised?.advice;
  if (policy.mode === 'dry-run') {
    const result = await propose({ ...snapshot, world }, advice, ports, memory);
    return { ...result, held: heldBy(result, advised) };
  }
  const { planned, allowance } = planOn(world, policy, ports.clock, ports.random, memory, advice);
  await noteReverts(planned.reverted, live.commit, ports);
  let room = false;
  for (const effect of planned.effects) if (await carryOut(effect, ports)) room = true;
  const queue = queueOf(before, planned.removals, world, goneNow(planned), now);
  const wanted = [planned.removals, planned.deploys, planned.preemptions, queue.ready].some(({ length }) => length > 0);
  const obstacle = wanted ? await ports.obstacle?.() : undefined;
  if (obstacle !== undefined) return pausedResult({ ...memory, waiting: before }, planned, [obstacle], now);
  await drop(
    queue.dropped.map(({ decision }) => decision),
    ports,
  );
  const pairs = memory.rolled ?? new Map();
  const rolled = rollOver(planned, { world, policy, allowance, random: ports.random, now, pairs, advice });
  const removals = rolled.removals.filter(({ spec }) => live.deployments.has(spec.deploymentId));
  // Written before the commit: a crash in between must not look as if somebody had reset the branch.
  if (removals.length > 0) await ports.store.mark('removedAt', idsOf(removals), now);
  const asked = [...rolled.deploys, ...rolled.swaps.map(({ deploy }) => deploy)];
  const launched = await launchAll(asked, ports, { ...memory, ...planned.memory });
  const batch: Batch = {
    removals,
    deploys: granted(rolled.deploys, launched.granted),
    swaps: rolled.swaps.flatMap(({ deploy, victims }) =>
      granted([deploy], launched.granted).map((held) => ({ deploy: held, victims })),
    ),
    ready: queue.ready,
  };
  const done = await commitAll(batch, snapshot, ports);
  await releaseJobs(failedLaunches(done.committed, world), ports);
  // What was adopted is looked at again, once: a row that cannot be made must not keep the passes turning.
  const adopted = planned.effects.flatMap((effect) => (effect.kind === 'adopt' ? [effect.spec.deploymentId] : []));
  const alive = new Set([...launched.granted.keys(), ...world.desired.keys()]);
  return {
    memory: {
      ...launched.memory,
      advice,
      waiting: [...queue.waiting, ...done.waiting],
      unsettled: done.unsettled,
      adopted: new Set(adopted),
      rolled: new Map([...rolled.pairs].filter(([, newcomer]) => alive.has(newcomer))),
      attempted: new Set([...(launched.memory.attempted ?? [])].filter((jobId) => world.jobs?.has(jobId))),
    },
    committed: done.committed,
    refused: launched.refused,
    held: heldBy(planned, advised),
    blocked: allowance.blocked(),
    proposed: [],
    failure: done.failure,
    again:
      room ||
      queue.dropped.length > 0 ||
      (launched.refused > 0 && launched.granted.size > 0) ||
      adopted.some((id) => !memory.adopted?.has(id)),
  };
}

function heldBy({ held }: Pick<PassResult, 'held'>, advised: Advised | undefined): readonly string[] {
  return advised?.held === undefined ? held : [...held, advised.held];
}

function goneNow({ effects }: Plan): Set<string> {
  return new Set(
    effects.flatMap((effect) => (effect.kind === 'mark' && effect.step === 'goneAt' ? [effect.deploymentId] : [])),
  );
}

/** A rental that ends before it was active is given back, unless the validator itself ended it (gepetto.md 6, E14). */
function failedLaunches(decisions: readonly Decision[], { lifecycles }: World) {
  return decisions.flatMap((decision) => {
    const row = lifecycles.get(decision.spec.deploymentId);
    const ended = row?.activatedAt !== undefined || row?.instanceGoneAt !== undefined;
    return decision.kind === 'remove' && decision.reason !== 'chute-deleted' && !ended ? [decision.spec] : [];
  });
}

function granted(decisions: readonly DeployDecision[], held: ReadonlyMap<string, DeployDecision>): DeployDecision[] {
  return decisions.flatMap(({ spec }) => held.get(spec.deploymentId) ?? []);
}
