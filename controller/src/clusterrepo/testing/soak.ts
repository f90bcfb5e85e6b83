// The git writer under load against a real git host: decisions arrive all the time and are batched as the planner batches them, people
// push to both branches, and in the end every decision must be on `live`.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../domain/decision.ts';
import { MinerError } from '../../domain/errors.ts';
import type { OpenClusterRepo } from '../clusterrepo.ts';
import { deploy, remove } from './fixture.ts';
import { specAt } from './testrepo.ts';

export interface SoakOptions {
  repo: OpenClusterRepo;
  /** How long decisions arrive, ms. */
  forMs: number;
  decisionsPerSecond: number;
}

export interface SoakResult {
  decided: number;
  commits: number;
  conflicts: number;
  /** ms from a decision to its commit on the remote. */
  latencies: number[];
  /** Deployments that must be on `live` in the end. */
  expected: Set<string>;
}

const slots = 8;
const batchLimit = 2_000;

interface Waiting {
  decision: Decision;
  at: number;
}

/** Every third decision removes the deployment that was made longest ago. */
function createDecider(expected: Set<string>) {
  let made = 0;
  const alive: number[] = [];
  const specOf = (n: number) => specAt(1 + Math.floor(n / slots), n % slots);
  let count = 0;
  return (): Decision => {
    count += 1;
    const oldest = count % 3 === 0 ? alive.shift() : undefined;
    const n = oldest ?? made++;
    const spec = specOf(n);
    if (oldest !== undefined) {
      expected.delete(spec.deploymentId);
      return remove(spec);
    }
    alive.push(n);
    expected.add(spec.deploymentId);
    return deploy(spec);
  };
}

/** Rejects when a commit fails for another reason than that somebody was faster. */
export async function soak({ repo, forMs, decisionsPerSecond }: SoakOptions): Promise<SoakResult> {
  const result: SoakResult = { decided: 0, commits: 0, conflicts: 0, latencies: [], expected: new Set() };
  const decide = createDecider(result.expected);
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
    result.commits += 1;
    for (const { at } of batch) result.latencies.push(performance.now() - at);
  }

  for (;;) {
    const more = arrive();
    const batch = waiting.slice(0, batchLimit);
    waiting = waiting.slice(batchLimit);
    if (batch.length > 0) await commitBatch(batch);
    else if (more) await sleep(10);
    else return result;
  }
}
