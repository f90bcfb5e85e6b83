// The git writer under load against a real git host: decisions arrive all the time and are batched as the planner batches them, people
// push to both branches. What was asked for and what was told is in a journal.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../domain/decision.ts';
import type { DeploymentSpec } from '../../domain/deployment.ts';
import { MinerError } from '../../domain/errors.ts';
import type { OpenClusterRepo } from '../clusterrepo.ts';
import { deploy, remove } from './fixture.ts';
import type { Journal } from './journal.ts';
import { specAt } from './testrepo.ts';

export interface SoakOptions {
  repo: OpenClusterRepo;
  journal: Journal;
  /** How long decisions arrive, ms. */
  forMs: number;
  decisionsPerSecond: number;
  /** Deployments that were asked for before; none of them is asked for again. */
  madeBefore?: number | undefined;
}

export interface SoakResult {
  decided: number;
  superseded: number;
  commits: number;
  /** Commits that were refused because somebody else had pushed, and tried again. */
  conflicts: number;
  largestBatch: number;
  /** From decision to being on `live`, ms. */
  latencies: number[];
}

const slots = 8;
const batchLimit = 2_000;

interface Waiting {
  decision: Decision;
  at: number;
}

/** Every third decision removes a deployment: mostly the oldest, sometimes the newest, which may not even be committed. */
function createDecider(alive: DeploymentSpec[], madeBefore: number) {
  let made = madeBefore;
  let count = 0;
  return (): Decision => {
    count += 1;
    const newest = count % 15 === 0 ? alive.pop() : undefined;
    const gone = newest ?? (count % 3 === 0 ? alive.shift() : undefined);
    if (gone) return remove(gone);
    const spec = specAt(1 + Math.floor(made / slots), made % slots);
    made += 1;
    alive.push(spec);
    return deploy(spec);
  };
}

/** Deployments that are made and removed in the same batch need neither. */
function supersededIn(batch: readonly Waiting[]): Set<string> {
  const idsOf = (kind: Decision['kind']) =>
    new Set(batch.filter(({ decision }) => decision.kind === kind).map(({ decision }) => decision.spec.deploymentId));
  const removed = idsOf('remove');
  return new Set([...idsOf('deploy')].filter((id) => removed.has(id)));
}

/** Rejects when a commit fails for another reason than that somebody was faster. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { repo, journal, forMs, decisionsPerSecond, madeBefore = 0 } = options;
  const result: SoakResult = { decided: 0, superseded: 0, commits: 0, conflicts: 0, largestBatch: 0, latencies: [] };
  const decide = createDecider([...(await repo.readLive()).deployments.values()], madeBefore);
  let waiting: Waiting[] = [];
  const startedAt = performance.now();

  /** What waited for a commit in progress was due before. */
  function dueAt(n: number): number {
    return startedAt + (n / decisionsPerSecond) * 1000;
  }

  function arrive(): boolean {
    const elapsed = Math.min(performance.now() - startedAt, forMs);
    const due = Math.floor((elapsed / 1000) * decisionsPerSecond);
    for (; result.decided < due; result.decided++) waiting.push({ decision: decide(), at: dueAt(result.decided) });
    return elapsed < forMs;
  }

  async function commitBatch(batch: readonly Waiting[]): Promise<void> {
    const decisions = batch.map(({ decision }) => decision);
    journal.asked(decisions);
    for (;;) {
      const { commit: base } = await repo.readLive();
      const { commit: configCommit } = await repo.readMain();
      try {
        const tree = await repo.commitLive({ decisions, configCommit, base });
        if (tree.landed) throw tree.failure;
        break;
      } catch (error) {
        if (!(error instanceof MinerError && error.code === 'E-GIT-CONFLICT')) throw error;
        result.conflicts += 1;
      }
    }
    journal.landed(decisions);
    result.commits += 1;
    result.largestBatch = Math.max(result.largestBatch, decisions.length);
    for (const { at } of batch) result.latencies.push(performance.now() - at);
  }

  for (;;) {
    const more = arrive();
    const batch = waiting.slice(0, batchLimit);
    waiting = waiting.slice(batchLimit);
    const needless = supersededIn(batch);
    const isNeedless = ({ decision }: Waiting) => needless.has(decision.spec.deploymentId);
    const dropped = batch.filter(isNeedless).map(({ decision }) => decision);
    journal.superseded(dropped);
    result.superseded += dropped.length;
    const current = batch.filter((item) => !isNeedless(item));
    if (current.length > 0) await commitBatch(current);
    else if (more) await sleep(10);
    else return result;
  }
}
