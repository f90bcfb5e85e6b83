// The journal of decisions. A decision is written when it is made and again when its commit is known.

import type { SQL } from 'drizzle-orm';
import { parse, stringify } from 'lossless-json';
import type { Alternative, Decision } from '../domain/decision.ts';
import type { DecisionFilter, Store, StoredDecision } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, desc, eq, sql } from './drizzle.ts';
import { distinct, excludedColumns, namedRows, type RowOf, readNumber, selectFromRows, storableText } from './rows.ts';
import { decisions } from './schema.ts';

/** JSON knows no infinity: such a number is written as null and read as NaN. Bigints keep every digit. */
function storable(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

function readValue(value: number | null): number {
  return value ?? Number.NaN;
}

function readDecision(text: string): Decision {
  const read = parse(text, null, readNumber) as Decision;
  // JSON drops what is undefined; the keys are restored so that a decision equals the one written.
  const spec = { ...read.spec, configId: read.spec.configId, jobId: read.spec.jobId };
  if (read.kind === 'remove') return { ...read, spec };
  const numbers = Object.fromEntries(Object.entries(read.numbers).map(([name, value]) => [name, readValue(value)]));
  const alternatives = read.alternatives.map((lost): Alternative => ({ ...lost, value: readValue(lost.value) }));
  return { ...read, spec, numbers, alternatives };
}

function toRow({ decisionId, decidedAt, decision, commit }: StoredDecision): RowOf<typeof decisions> {
  const { spec, kind } = decision;
  const reason = decision.kind === 'deploy' ? spec.reason : decision.reason;
  const { deploymentId, chuteId, server } = spec;
  return { decisionId, decidedAt, kind, deploymentId, chuteId, server, reason, commit, decision };
}

export function decisionStore(db: Database): Pick<Store, 'saveDecisions' | 'decisions'> {
  const save = db
    .insert(decisions)
    .select(selectFromRows(decisions))
    .onConflictDoUpdate({
      target: decisions.decisionId,
      set: {
        ...excludedColumns(decisions, ['decisionId', 'decidedAt']),
        commit: sql`coalesce(excluded.commit, ${decisions.commit})`,
      },
    })
    .prepare('save_decisions');
  const read = (limit: number, where: SQL | undefined) =>
    db
      .select({
        decisionId: decisions.decisionId,
        decidedAt: decisions.decidedAt,
        decision: sql<string>`${decisions.decision}::text`,
        commit: decisions.commit,
      })
      .from(decisions)
      .where(where)
      .orderBy(desc(decisions.decidedAt), desc(decisions.decisionId))
      .limit(limit);

  async function saveDecisions(rows: readonly StoredDecision[]): Promise<void> {
    if (rows.length === 0) return;
    const given = distinct(rows, (row) => row.decisionId).map(toRow);
    await save.execute({ rows: stringify(namedRows(decisions, given), storable) });
  }

  /** Newest first; a filter without parts takes all. */
  async function newest(limit: number, { deploymentId, chuteId, server, reason }: DecisionFilter = {}) {
    const parts = [
      deploymentId === undefined ? undefined : eq(decisions.deploymentId, deploymentId),
      chuteId === undefined ? undefined : eq(decisions.chuteId, chuteId),
      server === undefined ? undefined : eq(decisions.server, server),
      reason === undefined ? undefined : eq(decisions.reason, reason),
    ];
    const rows = await read(limit, and(...parts));
    return rows.map(({ decision, commit, ...row }) => ({
      ...row,
      decision: readDecision(decision),
      commit: commit ?? undefined,
    }));
  }

  return { saveDecisions, decisions: newest };
}
