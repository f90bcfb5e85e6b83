// Decisions as the miner API gives them (GET /decisions), and the words they are told in.

import { z } from 'zod';
import { CliError } from './errors.ts';
import type { Remote } from './http.ts';
import { time } from './output/format.ts';
import { plainTable, type TableLook } from './output/table.ts';
import { readAnswer } from './shapes.ts';

/** JSON has no infinity: such a number comes as null. */
const figure = z.number().nullable();

const decisionShape = z.looseObject({
  decision_id: z.string(),
  decided_at: z.string(),
  kind: z.enum(['deploy', 'remove']),
  reason: z.string(),
  because: z.string().nullish(),
  deployment_id: z.string(),
  chute_id: z.string(),
  chute_name: z.string(),
  server: z.string(),
  gpu_ids: z.array(z.string()).readonly().default([]),
  replicas_before: z.number().nullish(),
  numbers: z.record(z.string(), figure).default({}),
  alternatives: z
    .array(z.looseObject({ chute_name: z.string(), server: z.string(), value: figure, because: z.string() }))
    .default([]),
  strategy: z.string().nullish(),
  commit: z.string().nullish(),
});
export type DecisionAnswer = z.infer<typeof decisionShape>;

export interface DecisionQuery {
  deployment_id?: string;
  chute_id?: string;
  server?: string;
}

/** Newest first, at most `limit`. */
export async function readDecisions(miner: Remote, query: DecisionQuery, limit: number): Promise<DecisionAnswer[]> {
  const search = new URLSearchParams({ ...query, limit: String(limit) });
  const answer = await miner.json('GET', `/decisions?${search}`, { purpose: 'management' });
  return readAnswer(z.array(decisionShape), answer, 'the decisions');
}

const whyNotShape = z.looseObject({ chute_id: z.string(), chute_name: z.string(), reasons: z.array(z.string()) });
export type WhyNotAnswer = z.infer<typeof whyNotShape>;

const planShape = z.looseObject({
  decisions: z.array(decisionShape),
  held: z.array(z.string()),
  blocked: z.array(z.string()).default([]),
});
export type PlanAnswer = z.infer<typeof planShape>;

export async function readPlan(miner: Remote): Promise<PlanAnswer> {
  return readAnswer(planShape, await miner.json('GET', '/plan', { purpose: 'management' }), 'the plan');
}

/** What stands against the chutes of that id or name now; none from a miner that plans nothing. */
export async function readWhyNot(miner: Remote, chute: string): Promise<WhyNotAnswer[]> {
  try {
    const answer = await miner.json('GET', `/plan?${new URLSearchParams({ chute })}`, { purpose: 'management' });
    return readAnswer(z.looseObject({ why_not: z.array(whyNotShape).default([]) }), answer, 'the plan').why_not;
  } catch (error) {
    if (error instanceof CliError && error.status === 404) return [];
    throw error;
  }
}

function rounded(value: number | null): string {
  return value === null ? '-' : String(Number(value.toPrecision(4)));
}

function subject({ kind, chute_name, server, reason, replicas_before: before }: DecisionAnswer): string {
  if (kind === 'remove') return `remove ${chute_name} from ${server}: ${reason}`;
  const replicas = before === null || before === undefined ? '' : ` (+1 → ${before + 1})`;
  return `deploy ${chute_name} on ${server}${replicas}: ${reason}`;
}

function alternativesTable({ alternatives }: DecisionAnswer, look: TableLook): string[] {
  const rows = alternatives.map((one) => [one.chute_name, one.server, rounded(one.value), one.because]);
  const inner = { ...look, columns: look.columns && look.columns - 2 };
  return plainTable(['INSTEAD OF', 'ON', 'VALUE', 'LOST BECAUSE'], rows, inner)
    .split('\n')
    .map((line) => `  ${line}`);
}

/** What was decided, the numbers that decided it, and what it beat. */
export function decisionView(decision: DecisionAnswer, look: TableLook): string {
  const numbers = Object.entries(decision.numbers).map(([name, value]) => `${name} ${rounded(value)}`);
  const isDeploy = decision.kind === 'deploy';
  return [
    look.paint(subject(decision), 'bold'),
    `  decided     ${time(decision.decided_at)}  ${decision.decision_id}`,
    `  commit      ${decision.commit ?? 'not committed'}`,
    `  deployment  ${decision.deployment_id}, ${decision.gpu_ids.length} GPU(s)`,
    ...(decision.because ? [`  because     ${decision.because}`] : []),
    ...(numbers.length > 0 ? [`  numbers     ${numbers.join(', ')}`] : []),
    ...(decision.strategy ? [`  strategy    ${decision.strategy}`] : []),
    ...(decision.alternatives.length > 0 ? alternativesTable(decision, look) : []),
    ...(isDeploy && decision.alternatives.length === 0 ? ['  instead of  nothing else was possible'] : []),
  ].join('\n');
}

/** Why a chute gets no deployment (more) now. */
export function whyNotView({ chute_name: name, reasons }: WhyNotAnswer): string {
  return [`another ${name} now?`, ...reasons.map((reason) => `  ${reason}`)].join('\n');
}
