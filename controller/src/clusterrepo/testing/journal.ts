// What a writer was asked for and what it was told, line by line in a file that survives its sudden end; and the history of `live`
// checked against it.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { Decision } from '../../domain/decision.ts';
import { git } from './testrepo.ts';

export interface Journal {
  /** Before they are handed to the writer. */
  asked(decisions: readonly Decision[]): void;
  /** The writer said that they are on `live`. */
  landed(decisions: readonly Decision[]): void;
  /** They will not be handed to the writer, or not again. */
  superseded(decisions: readonly Decision[]): void;
}

interface Asked {
  kind: Decision['kind'];
  deploymentId: string;
}

export interface Recorded {
  /** By decision id. */
  asked: Map<string, Asked>;
  landed: Set<string>;
  superseded: Set<string>;
  /** Deployments that were decided on, superseded ones too. */
  made: number;
}

export function openJournal(path: string): Journal {
  writeFileSync(path, '', { flag: 'a' });
  const note = (word: string) => (decisions: readonly Decision[]) => {
    const lines = decisions.map(({ decisionId, kind, spec }) => `${word} ${decisionId} ${kind} ${spec.deploymentId}\n`);
    if (lines.length > 0) appendFileSync(path, lines.join(''));
  };
  return { asked: note('asked'), landed: note('landed'), superseded: note('superseded') };
}

export function readJournal(path: string): Recorded {
  const recorded: Recorded = { asked: new Map(), landed: new Set(), superseded: new Set(), made: 0 };
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [word, decisionId, kind, deploymentId] = line.split(' ');
    if (!decisionId || !deploymentId) continue;
    if (word !== 'landed' && kind === 'deploy') recorded.made += 1;
    if (word === 'asked') recorded.asked.set(decisionId, { kind: kind as Decision['kind'], deploymentId });
    if (word === 'landed') recorded.landed.add(decisionId);
    if (word === 'superseded') recorded.superseded.add(decisionId);
  }
  return recorded;
}

/** Ids of the decisions on `live`, the oldest first. */
function decisionsOn(gitdir: string): string[] {
  const format = '--format=%(trailers:key=Decision-Id,valueonly)';
  return git(gitdir, 'log', '--reverse', '--first-parent', format, 'live')
    .split('\n')
    .filter((line) => line !== '');
}

/** Every way in which the history of `live` differs from what the journal allows; empty when it is right. */
export function historyProblems(gitdir: string, { asked, landed, superseded }: Recorded): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  const deployed = new Set<string>();
  for (const id of decisionsOn(gitdir)) {
    const decision = asked.get(id);
    if (seen.has(id)) problems.push(`${id} landed twice`);
    if (superseded.has(id)) problems.push(`${id} landed although it was superseded`);
    seen.add(id);
    if (!decision) {
      problems.push(`${id} was never asked for`);
      continue;
    }
    const { kind, deploymentId } = decision;
    if (deployed.has(deploymentId) === (kind === 'deploy')) problems.push(`${kind} ${id} changes nothing`);
    if (kind === 'deploy') deployed.add(deploymentId);
    else deployed.delete(deploymentId);
  }
  for (const id of landed) if (!seen.has(id)) problems.push(`${id} was acknowledged and is lost`);
  const files = git(gitdir, 'ls-tree', '-r', '--name-only', 'live', 'chutes/').split('\n');
  const found = new Set(files.map((path) => /([^/]+)\.yaml$/.exec(path)?.[1] ?? path).filter(Boolean));
  for (const id of found) if (!deployed.has(id)) problems.push(`${id} is on live, its history says it is not`);
  for (const id of deployed) if (!found.has(id)) problems.push(`${id} is not on live, its history says it is`);
  return problems;
}
