// The report of one hour, as the validator reads it (protocol.md 6.5). What it tells is the state at the end of the hour, so that a report
// made late says the same as one made in time.

import type { AuditRow } from '../domain/ports.ts';
import { hourMs } from './hours.ts';
import type { MetricsAnswer } from './metrics.ts';

export interface ReportParts {
  /** Address (ss58) of the hotkey. */
  miner: string;
  hour: number;
  rows: readonly AuditRow[];
  metrics: MetricsAnswer;
}

function withOffset(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', '+00:00');
}

/** The database columns upstream have no zone, so neither do these. */
function naive(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString().slice(0, -1);
}

function auditRow(row: AuditRow, end: number): Record<string, string | null> {
  const before = (at: number | undefined) => (at !== undefined && at < end ? at : undefined);
  return {
    deployment_id: row.deploymentId,
    validator: row.validator,
    chute_id: row.chuteId,
    version: row.version,
    // The trail learns the instance when it is verified, not before.
    instance_id: (before(row.verifiedAt) !== undefined && row.instanceId) || null,
    created_at: naive(row.createdAt),
    verified_at: naive(before(row.verifiedAt)),
    deleted_at: naive(before(row.deletedAt)),
  };
}

/** The bytes that are hashed, committed, signed and sent. The same parts give the same bytes. */
export function buildReport({ miner, hour, rows, metrics }: ReportParts): Buffer {
  const end = hour + hourMs;
  const content = {
    miner_hotkey: miner,
    start_time: withOffset(hour),
    end_time: withOffset(end),
    prometheus_message: metrics.message,
    prometheus_metrics: metrics.rows,
    deployment_audit: rows.filter(({ createdAt }) => createdAt < end).map((row) => auditRow(row, end)),
  };
  return Buffer.from(JSON.stringify(content));
}
