// One pass: look, plan, launch, commit, record. Everything before the commit can be undone or left to the next pass; the commit is the
// decision. Passes never overlap: whoever calls this runs them one after the other.

import type { Advice } from '../domain/advice.ts';
import type { Clock } from '../domain/clock.ts';
import type { Policy } from '../domain/config.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import type { ClusterRepo, ControllerLink, LiveTree, Store, StrategyFile } from '../domain/ports.ts';
import type { Random } from '../domain/random.ts';
import { carryOut, type EffectPorts, releaseJobs } from './carryout.ts';
import { launchAll } from './launch.ts';
import { type Plan, type Preemption, plan } from './plan.ts';
import { rollOver } from './rolling.ts';
import { type PassMemory, queueOf, type Waiting, withMemory } from './swap.ts';
import type { World } from './world.ts';

export interface Snapshot {
  world: World;
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

export interface PassPorts extends EffectPorts {
  clock: Pick<Clock, 'now'>;
  random: Random;
  look(): Promise<Snapshot>;
  /** Ask the owner's strategy about this world; never rejects. */
  advise?(strategy: StrategyFile | undefined, world: World): Promise<Advised | undefined>;
  link: EffectPorts['link'] & Pick<ControllerLink, 'launch' | 'cancel'>;
  repo: Pick<ClusterRepo, 'commitLive' | 'readLive'>;
  store: EffectPorts['store'] & Pick<Store, 'saveDecisions'>;
}

export interface PassResult {
  memory: PassMemory;
  committed: readonly Decision[];
  refused: number;
  held: readonly string[];
  /** A refusal left room, or something was learned that makes room: plan again at once. */
  again: boolean;
}

const maxCommitTries = 5;

/** What came through the launch, and what waited for its place. */
interface Batch {
  removals: readonly Decision[];
  deploys: readonly DeployDecision[];
  swaps: readonly Preemption[];
  ready: readonly Waiting[];
}

export async function runPass(ports: PassPorts, memory: PassMemory): Promise<PassResult> {
  const snapshot = await ports.look();
  const { live, policy } = snapshot;
  const before = (memory.waiting ?? []).filter(({ decision }) => !live.deployments.has(decision.spec.deploymentId));
  const now = ports.clock.now();
  const world = withMemory(snapshot.world, before, memory, now);
  const advised = await ports.advise?.(snapshot.strategy, world);
  const advice = advised?.advice;
  const planned = plan(world, policy, ports.clock, ports.random, memory, advice);
  let room = false;
  for (const effect of planned.effects) if (await carryOut(effect, ports)) room = true;
  const free = goneNow(planned);
  const queue = queueOf(before, planned.removals, world, free, now);
  await drop(queue.dropped, ports);
  const rolled = rollOver(planned, {
    world,
    policy,
    random: ports.random,
    now,
    pairs: memory.rolled ?? new Map(),
    advice,
  });
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
  const waits = [...queue.waiting, ...done.waiting];
  // What was adopted is looked at again, once: a row that cannot be made must not keep the passes turning.
  const adopted = planned.effects.flatMap((effect) => (effect.kind === 'adopt' ? [effect.spec.deploymentId] : []));
  const alive = new Set([...launched.granted.keys(), ...world.desired.keys()]);
  return {
    memory: {
      ...launched.memory,
      advice,
      waiting: waits,
      adopted: new Set(adopted),
      rolled: new Map([...rolled.pairs].filter(([, newcomer]) => alive.has(newcomer))),
      attempted: new Set([...(launched.memory.attempted ?? [])].filter((jobId) => world.jobs?.has(jobId))),
    },
    committed: done.committed,
    refused: launched.refused,
    held: advised?.held === undefined ? planned.held : [...planned.held, advised.held],
    again:
      room ||
      queue.dropped.length > 0 ||
      (launched.refused > 0 && launched.granted.size > 0) ||
      adopted.some((id) => !memory.adopted?.has(id)),
  };
}

function idsOf(decisions: readonly Decision[]): string[] {
  return decisions.map(({ spec }) => spec.deploymentId);
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

/** Give back what was launched and will not be committed. */
async function drop(waiting: readonly Pick<Waiting, 'decision'>[], ports: PassPorts): Promise<void> {
  const specs = waiting.map(({ decision }) => decision.spec);
  if (specs.length === 0) return;
  await ports.link.cancel(specs);
  await ports.store.mark('removedAt', idsOf(waiting.map(({ decision }) => decision)), ports.clock.now());
  await releaseJobs(specs, ports);
}

interface Committed {
  committed: readonly Decision[];
  /** Newcomers whose victims went with this commit. */
  waiting: Waiting[];
}

async function commitAll(batch: Batch, snapshot: Snapshot, ports: PassPorts): Promise<Committed> {
  const { removals, deploys, swaps, ready } = batch;
  const newcomers = [...deploys, ...ready.map(({ decision }) => decision)];
  const decisions = [...removals, ...swaps.flatMap(({ victims }) => victims), ...newcomers];
  let made: Awaited<ReturnType<typeof commitOnTop>>;
  try {
    made = await commitOnTop(decisions, snapshot, ports);
  } catch (error) {
    const fresh = [...deploys, ...swaps.map(({ deploy }) => deploy)].map((decision) => ({ decision }));
    if (!(error instanceof MinerError) || error.code !== 'E-GUARD') {
      const specs = fresh.map(({ decision }) => decision.spec);
      await ports.link.cancel(specs);
      await releaseJobs(specs, ports);
      throw error;
    }
    await drop([...fresh, ...ready], ports);
    ports.report(`a tree that breaks a rule was not written: ${error.message}`, error.detail);
    // What was to be removed is right whatever is wrong with the deploys.
    if (newcomers.length === 0 && swaps.length === 0) return { committed: [], waiting: [] };
    return commitAll({ removals, deploys: [], swaps: [], ready: [] }, snapshot, ports);
  }
  // From here on nothing is taken back: what is committed starts with the Secret it was given.
  if (made.committed.length > 0) await record(made.committed, made.live.commit, ports);
  const since = ports.clock.now();
  return {
    committed: made.committed,
    waiting: swaps.map(({ deploy, victims }) => ({
      decision: deploy,
      victims: victims.map(({ spec }) => spec.deploymentId),
      since,
    })),
  };
}

/** Someone else may move `live` between looking and committing; what they removed is not removed again. */
async function commitOnTop(decisions: readonly Decision[], snapshot: Snapshot, ports: PassPorts) {
  let live = snapshot.live;
  for (let attempt = 1; ; attempt++) {
    const present = live.deployments;
    const current = decisions.filter((d) => d.kind === 'deploy' || present.has(d.spec.deploymentId));
    if (current.length === 0) return { live, committed: current };
    try {
      const base = live.commit;
      return {
        live: await ports.repo.commitLive({ decisions: current, configCommit: snapshot.configCommit, base }),
        committed: current,
      };
    } catch (error) {
      const conflict = error instanceof MinerError && error.code === 'E-GIT-CONFLICT';
      if (!conflict || attempt === maxCommitTries) throw error;
      live = await ports.repo.readLive();
    }
  }
}

async function record(decisions: readonly Decision[], commit: string, ports: PassPorts): Promise<void> {
  const now = ports.clock.now();
  const of = (kind: Decision['kind']) => idsOf(decisions.filter((decision) => decision.kind === kind));
  await ports.store.mark('committedAt', of('deploy'), now);
  await ports.store.mark('removedAt', of('remove'), now);
  await ports.store.saveDecisions(
    decisions.map((decision) => ({ decisionId: decision.decisionId, decidedAt: now, decision, commit })),
  );
}
