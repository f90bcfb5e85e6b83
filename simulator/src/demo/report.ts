// What a run has come to, read from where it is kept: decisions and commits from git, states from the miner, money and honesty from the
// simulated validator and cluster.

import * as fs from 'node:fs';
import type { Status } from '@miner/controller/roles/status.ts';
import git from 'isomorphic-git';
import { coldStartMedians, type Step } from './coldstart.ts';

export interface Honesty {
  at: number;
  code: string;
  detail: string;
}

export interface Report {
  deployments: { active: number; starting: number; draining: number };
  decisions: number;
  /** On branch `live`, the empty first one left out. */
  commits: number;
  /** Medians in seconds of simulated time. */
  coldStartP50: Partial<Record<Step, number>>;
  /** USD per hour for all GPUs of the inventory. */
  costPerHour: number;
  /** Multiplier-hours. */
  score: number;
  violations: number;
  violationList: readonly Honesty[];
}

export interface GitCounts {
  decisions: number;
  commits: number;
}

export async function countLive(repository: string): Promise<GitCounts> {
  const log = await git.log({ fs, gitdir: repository, ref: 'live' });
  const decisions = log.reduce((sum, { commit }) => sum + (commit.message.match(/^Decision-Id: /gm)?.length ?? 0), 0);
  return { decisions, commits: Math.max(0, log.length - 1) };
}

const phasesUnderWay = new Set(['planned', 'committed', 'running', 'claimed', 'verified']);

export function reportOf(status: Status, counts: GitCounts, score: number, violations: readonly Honesty[]): Report {
  const inPhase = (wanted: (phase: string) => boolean) =>
    status.deployments.filter(({ phase }) => wanted(phase)).length;
  return {
    deployments: {
      active: inPhase((phase) => phase === 'active'),
      starting: inPhase((phase) => phasesUnderWay.has(phase)),
      draining: inPhase((phase) => phase === 'draining'),
    },
    decisions: counts.decisions,
    commits: counts.commits,
    coldStartP50: coldStartMedians(status.deployments),
    costPerHour: round(status.servers.reduce((sum, server) => sum + server.costPerHour, 0)),
    score: round(score),
    violations: violations.length,
    violationList: violations,
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
