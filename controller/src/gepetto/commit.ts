// Brings the decisions of a pass onto `live` and keeps to what really landed: that is recorded, the rest is taken back, or, while nobody
// knows whether a push arrived, held as it is until the next pass has seen what `live` says.

import type { Clock } from '../domain/clock.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import type { ClusterRepo, ControllerLink, LiveTree, Store } from '../domain/ports.ts';
import { type EffectPorts, releaseJobs } from './carryout.ts';
import type { Preemption } from './plan.ts';
import type { Waiting } from './swap.ts';

/** What came through the launch, and what waited for its place. */
export interface Batch {
  removals: readonly Decision[];
  deploys: readonly DeployDecision[];
  swaps: readonly Preemption[];
  ready: readonly Waiting[];
}

/** Nobody knows whether it is on `live`: the push may still arrive. Its launches keep their Secrets. */
export interface Unsettled extends Batch {
  /** ms. */
  since: number;
}

export interface CommitPorts extends EffectPorts {
  clock: Pick<Clock, 'now'>;
  link: EffectPorts['link'] & Pick<ControllerLink, 'cancel'>;
  repo: Pick<ClusterRepo, 'commitLive' | 'readLive'>;
  store: EffectPorts['store'] & Pick<Store, 'saveDecisions'>;
}

/** What a batch is committed on. */
export interface Base {
  configCommit: string;
  live: LiveTree;
}

export interface Committed {
  committed: readonly Decision[];
  /** Newcomers whose victims went with this commit, and those that were ready and did not land. */
  waiting: readonly Waiting[];
  unsettled: Unsettled | undefined;
  /** Why it is not all of the batch. */
  failure: unknown;
}

const maxCommitTries = 5;
const nothing = { removals: [], deploys: [], swaps: [], ready: [] } satisfies Batch;

export function idsOf(decisions: readonly Decision[]): string[] {
  return decisions.map(({ spec }) => spec.deploymentId);
}

/** What a batch asks of the next commit; the newcomer of a swap comes later. */
export function decisionsOf({ removals, deploys, swaps, ready }: Batch): Decision[] {
  const newcomers = [...deploys, ...ready.map(({ decision }) => decision)];
  return [...removals, ...swaps.flatMap(({ victims }) => victims), ...newcomers];
}

/** Deployments of a batch that hold a token. */
export function launchesOf({ deploys, swaps, ready }: Batch): DeployDecision[] {
  return [...deploys, ...swaps.map(({ deploy }) => deploy), ...ready.map(({ decision }) => decision)];
}

/** The push may still arrive at the remote. */
function mayLand(error: unknown): boolean {
  return error instanceof MinerError && error.detail?.mayLand === true;
}

/** Give back what was launched and will not be committed. */
export async function drop(decisions: readonly DeployDecision[], ports: CommitPorts): Promise<void> {
  const specs = decisions.map(({ spec }) => spec);
  if (specs.length === 0) return;
  await ports.link.cancel(specs);
  await ports.store.mark('removedAt', idsOf(decisions), ports.clock.now());
  await releaseJobs(specs, ports);
}

function without(batch: Batch, landed: ReadonlySet<Decision>): Batch {
  return {
    removals: batch.removals.filter((decision) => !landed.has(decision)),
    deploys: batch.deploys.filter((decision) => !landed.has(decision)),
    swaps: batch.swaps.filter(({ victims }) => !victims.every((victim) => landed.has(victim))),
    ready: batch.ready.filter(({ decision }) => !landed.has(decision)),
  };
}

function newcomersOf(swaps: readonly Preemption[], since: number): Waiting[] {
  return swaps.map(({ deploy, victims }) => ({ decision: deploy, victims: idsOf(victims), since }));
}

/**
 * Commits what it can. Rejects only when nothing is known to have failed in git: then the process is about to end, or the store is away
 * and the next pass finds on `live` what landed.
 */
export async function commitAll(batch: Batch, base: Base, ports: CommitPorts): Promise<Committed> {
  const made = await commitOnTop(decisionsOf(batch), base, ports);
  // From here on nothing of this is taken back: what is committed starts with the Secret it was given.
  if (made.landed.length > 0)
    await record(made.landed, (decision) => made.commits.get(decision) ?? made.live.commit, ports);
  const { failure } = made;
  const now = ports.clock.now();
  const done = new Set([...made.landed, ...made.moot]);
  const rest = without(batch, done);
  const started = newcomersOf(
    batch.swaps.filter((swap) => !rest.swaps.includes(swap)),
    now,
  );
  const committed = made.landed;
  if (failure === undefined) return { committed, waiting: started, unsettled: undefined, failure };
  if (mayLand(failure)) return { committed, waiting: started, unsettled: { ...rest, since: now }, failure };
  const guarded = failure instanceof MinerError && failure.code === 'E-GUARD';
  await drop([...rest.deploys, ...rest.swaps.map(({ deploy }) => deploy)], ports);
  if (!guarded) return { committed, waiting: [...started, ...rest.ready], unsettled: undefined, failure };
  await drop(
    rest.ready.map(({ decision }) => decision),
    ports,
  );
  ports.report(`a tree that breaks a rule was not written: ${failure.message}`, failure.detail);
  const onlyRemovals = rest.deploys.length + rest.swaps.length + rest.ready.length === 0;
  if (onlyRemovals) return { committed, waiting: started, unsettled: undefined, failure: undefined };
  // What was to be removed is right whatever is wrong with the deploys.
  const again = await commitAll({ ...nothing, removals: rest.removals }, { ...base, live: made.live }, ports);
  return { ...again, committed: [...committed, ...again.committed], waiting: [...started, ...again.waiting] };
}

interface Made {
  live: LiveTree;
  landed: readonly Decision[];
  /** The commit of each. */
  commits: Map<Decision, string>;
  /** Removals of what somebody else removed meanwhile. */
  moot: readonly Decision[];
  failure: unknown;
}

/** Someone else may move `live` between looking and committing; what they removed is not removed again. */
async function commitOnTop(decisions: readonly Decision[], { configCommit, live: first }: Base, ports: CommitPorts) {
  const made: Made = { live: first, landed: [], commits: new Map(), moot: [], failure: undefined };
  for (let attempt = 1; ; attempt++) {
    const present = made.live.deployments;
    const open = decisions.filter((decision) => !made.landed.includes(decision));
    const current = open.filter((d) => d.kind === 'deploy' || present.has(d.spec.deploymentId));
    made.moot = open.filter((decision) => !current.includes(decision));
    if (current.length === 0) return made;
    let failure: unknown;
    try {
      const next = await ports.repo.commitLive({ decisions: current, configCommit, base: made.live.commit });
      made.live = next;
      const landed = next.landed ?? current;
      for (const decision of landed) made.commits.set(decision, next.earlier?.get(decision) ?? next.commit);
      made.landed = [...made.landed, ...landed];
      failure = next.failure;
    } catch (error) {
      failure = error;
    }
    if (failure === undefined) return made;
    if (!(failure instanceof MinerError)) throw failure;
    if (failure.code !== 'E-GIT-CONFLICT' || attempt === maxCommitTries) return { ...made, failure };
    try {
      made.live = await ports.repo.readLive();
    } catch (error) {
      return { ...made, failure: error };
    }
  }
}

/** Writes down that these decisions are on `live`. */
export async function record(
  decisions: readonly Decision[],
  commitOf: (decision: Decision) => string,
  ports: CommitPorts,
): Promise<void> {
  const now = ports.clock.now();
  const of = (kind: Decision['kind']) => idsOf(decisions.filter((decision) => decision.kind === kind));
  await ports.store.mark('committedAt', of('deploy'), now);
  await ports.store.mark('removedAt', of('remove'), now);
  await ports.store.saveDecisions(
    decisions.map((decision) => {
      const { decisionId } = decision;
      return { decisionId, decidedAt: now, decision, commit: commitOf(decision) };
    }),
  );
}
