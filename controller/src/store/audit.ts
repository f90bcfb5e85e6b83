// The audit trail, which triggers write, as the hourly upload reads it (protocol.md 6.5).

import type { AuditRow, Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, asc, isNull, or, sql } from './drizzle.ts';
import { time, withoutNulls } from './rows.ts';
import { deploymentAudit as audit } from './schema.ts';

export function auditStore(db: Database): Pick<Store, 'auditRows'> {
  const read = db
    .select()
    .from(audit)
    .where(
      or(
        isNull(audit.deletedAt),
        and(
          sql`${audit.createdAt} < ${sql.placeholder('to')}::timestamptz`,
          sql`${audit.deletedAt} > ${sql.placeholder('from')}::timestamptz`,
        ),
      ),
    )
    .orderBy(asc(audit.createdAt), asc(audit.deploymentId))
    .prepare('audit_rows');

  async function auditRows(from: number, to: number): Promise<AuditRow[]> {
    return (await read.execute({ from: time(from), to: time(to) })).map(withoutNulls);
  }

  return { auditRows };
}
