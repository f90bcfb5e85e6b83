// Decisions as the miner API gives them (GET /decisions), and the words they are told in.

import { z } from 'zod';
import type { Remote } from './http.ts';
import { time } from './output/format.ts';
import { plainTable, type TableLook } from './output/table.ts';
import { readAnswer } from './shapes.ts';

const spec = z.looseObject({
  deploymentId: z.string(),
  chuteId: z.string(),
  chuteName: z.string(),
  version: z.string().nullish(),
  server: z.string(),
  gpuIds: z.array(z.string()).default([]),
  reason: z.string().nullish(),
});

const deploy = z.looseObject({
  kind: z.literal('deploy'),
  spec,
  numbers: z.record(z.string(), z.number()).default({}),
  alternatives: z
    .array(z.looseObject({ chuteName: z.string(), server: z.string(), value: z.number(), because: z.string() }))
    .default([]),
  replicasBefore: z.number().nullish(),
});

const remove = z.looseObject({ kind: z.literal('remove'), spec, reason: z.string(), because: z.string() });

const stored = z.looseObject({
  decision_id: z.string(),
  decided_at: z.union([z.number(), z.string()]),
  commit: z.string().nullish(),
  decision: z.discriminatedUnion('kind', [deploy, remove]),
});
export type StoredAnswer = z.infer<typeof stored>;

export interface DecisionQuery {
  deployment_id?: string;
  chute_id?: string;
  server?: string;
}

/** Newest first, at most `limit`. */
export async function readDecisions(miner: Remote, query: DecisionQuery, limit: number): Promise<StoredAnswer[]> {
  const search = new URLSearchParams({ ...query, limit: String(limit) });
  const answer = await miner.json('GET', `/decisions?${search}`, { purpose: 'management' });
  return readAnswer(z.looseObject({ decisions: z.array(stored) }), answer, 'the decisions').decisions;
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function replicas(before: number | null | undefined): string {
  return before === null || before === undefined ? '' : ` (+1 → ${before + 1})`;
}

/** What was decided, the numbers that decided it, and what it beat. */
export function decisionView({ decision, decided_at, decision_id, commit }: StoredAnswer, look: TableLook): string {
  const { spec: what } = decision;
  const isDeploy = decision.kind === 'deploy';
  const subject = isDeploy
    ? `deploy ${what.chuteName} on ${what.server}${replicas(decision.replicasBefore)}: ${what.reason ?? 'no reason given'}`
    : `remove ${what.chuteName} from ${what.server}: ${decision.reason}`;
  const lines = [
    look.paint(subject, 'bold'),
    `  decided     ${time(decided_at)}  ${decision_id}`,
    `  commit      ${commit ?? 'not committed'}`,
    `  deployment  ${what.deploymentId}, ${what.gpuIds.length} GPU(s)`,
  ];
  if (!isDeploy) return [...lines, `  because     ${decision.because}`].join('\n');
  const numbers = Object.entries(decision.numbers).map(([name, value]) => `${name} ${rounded(value)}`);
  if (numbers.length > 0) lines.push(`  numbers     ${numbers.join(', ')}`);
  if (decision.alternatives.length === 0) return [...lines, '  instead of  nothing else was possible'].join('\n');
  const rows = decision.alternatives.map((one) => [one.chuteName, one.server, rounded(one.value), one.because]);
  const table = plainTable(['INSTEAD OF', 'ON', 'VALUE', 'LOST BECAUSE'], rows, {
    ...look,
    columns: look.columns && look.columns - 2,
  });
  return [...lines, ...table.split('\n').map((line) => `  ${line}`)].join('\n');
}
