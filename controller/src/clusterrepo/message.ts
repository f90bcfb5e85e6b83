// The commit message of a batch: subject for people, one body line per decision, trailers for programs (`git log --format=%(trailers)`).
// Nothing that comes from outside can add a line to it.

import type { Decision, DeployDecision, Numbers } from '../domain/decision.ts';

const longestText = 200;
const longestName = 60;
const namesInSubject = 3;
const shownAlternatives = 3;
const longestExplanation = 800;

/** One line without control, format and unassigned characters; `fallback` when nothing is left of it. */
function oneLine(text: string, longest: number, fallback = ''): string {
  const clean = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  if (clean === '') return fallback;
  const characters = [...clean];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : clean;
}

function chuteName({ spec }: Decision): string {
  return oneLine(spec.chuteName, longestName, spec.chuteId);
}

function reasonOf(decision: Decision): string {
  return decision.kind === 'deploy' ? decision.spec.reason : decision.reason;
}

function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}

function formatNumbers(numbers: Numbers): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${oneLine(name, longestName)} ${formatNumber(value)}`)
    .join(', ');
}

function formatLost({ alternatives }: DeployDecision, count = 1): string {
  const lost = alternatives.slice(0, count).map(({ chuteName: name, server, value, because }) => {
    const what = `${oneLine(name, longestName)} on ${oneLine(server, longestName)}`;
    return `; not ${what} (value ${formatNumber(value)}): ${oneLine(because, longestText)}`;
  });
  return lost.join('');
}

/** Why a deployment was made, in one line for its objects: the reason, the numbers, and what it beat. */
export function explanationOf(decision: DeployDecision): string {
  const numbers = formatNumbers(decision.numbers);
  const beaten = formatLost(decision, shownAlternatives);
  return oneLine(`${decision.spec.reason}${numbers && `; ${numbers}`}${beaten}`, longestExplanation);
}

function formatStrategy({ strategy }: DeployDecision): string {
  return strategy === undefined ? '' : `; strategy ${oneLine(strategy, longestText)}`;
}

function subjectOfOne(decision: Decision): string {
  const name = chuteName(decision);
  const server = oneLine(decision.spec.server, longestName);
  if (decision.kind === 'remove') return `remove ${name} from ${server} (${decision.reason})`;
  return `deploy ${name} on ${server} (+1 → ${decision.replicasBefore + 1})`;
}

function subject(decisions: readonly Decision[]): string {
  const [first] = decisions;
  if (first && decisions.length === 1) return subjectOfOne(first);
  const deploys = decisions.filter((decision) => decision.kind === 'deploy').length;
  const counts = [deploys && `deploy ${deploys}`, decisions.length - deploys && `remove ${decisions.length - deploys}`];
  const names = [...new Set(decisions.map(chuteName))];
  const more = names.length > namesInSubject ? ' …' : '';
  return `${counts.filter(Boolean).join(', ')}: ${names.slice(0, namesInSubject).join(', ')}${more}`;
}

function bodyLine(decision: Decision): string {
  const { spec } = decision;
  const what = `${chuteName(decision)}@${oneLine(spec.version, 12)}`;
  const server = oneLine(spec.server, longestName);
  if (decision.kind === 'remove') {
    return `remove ${what} from ${server}: ${decision.reason}; ${oneLine(decision.because, longestText)}`;
  }
  const numbers = formatNumbers(decision.numbers);
  const gpus = `${spec.gpuIds.length} GPU${spec.gpuIds.length === 1 ? '' : 's'}`;
  return `deploy ${what} on ${server}, ${gpus}: ${spec.reason}${numbers && `; ${numbers}`}${formatLost(decision)}${formatStrategy(decision)}`;
}

function trailers(decision: Decision): string[] {
  const { spec } = decision;
  return [
    `Decision-Id: ${oneLine(decision.decisionId, longestText, 'unknown')}`,
    `Chute-Id: ${oneLine(spec.chuteId, longestText, 'unknown')}`,
    `Deployment-Id: ${oneLine(spec.deploymentId, longestText, 'unknown')}`,
    `Server: ${oneLine(spec.server, longestText, 'unknown')}`,
    `Reason: ${reasonOf(decision)}`,
  ];
}

/**
 * Five trailers per decision, in the order of the decisions (Decision-Id, Chute-Id, Deployment-Id, Server, Reason), then one
 * Config-Commit.
 */
export function commitMessage(decisions: readonly Decision[], configCommit: string): string {
  const last = `Config-Commit: ${oneLine(configCommit, longestText, 'unknown')}`;
  const paragraphs = [
    subject(decisions),
    decisions.map(bodyLine).join('\n'),
    [...decisions.flatMap(trailers), last].join('\n'),
  ];
  return `${paragraphs.join('\n\n')}\n`;
}
