// Leases: the right to do what only one process may do at a time. All times are the database's own, so that clocks that differ do no harm.

import type { LeaseTerm, Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, eq, sql } from './drizzle.ts';
import { leases } from './schema.ts';

export function leaseStore(db: Database): Pick<Store, 'takeLease' | 'giveLease'> {
  const ends = sql`clock_timestamp() + ${sql.placeholder('ttl')}::double precision * interval '1 millisecond'`;
  const take = db
    .insert(leases)
    .values({ name: sql.placeholder('name'), holder: sql.placeholder('holder'), token: 1, expiresAt: ends })
    .onConflictDoUpdate({
      target: leases.name,
      set: {
        holder: sql`excluded.holder`,
        token: sql`${leases.token} + (${leases.holder} <> excluded.holder)::int`,
        expiresAt: sql`excluded.expires_at`,
      },
      setWhere: sql`${leases.holder} = excluded.holder or ${leases.expiresAt} <= clock_timestamp()`,
    })
    .returning({ holder: leases.holder, token: leases.token })
    .prepare('take_lease');
  const read = db
    .select({ holder: leases.holder, token: leases.token })
    .from(leases)
    .where(eq(leases.name, sql.placeholder('name')))
    .prepare('read_lease');
  const give = db
    .update(leases)
    .set({ expiresAt: sql`clock_timestamp()` })
    .where(and(eq(leases.name, sql.placeholder('name')), eq(leases.holder, sql.placeholder('holder'))))
    .prepare('give_lease');

  async function takeLease(name: string, holder: string, ttlMs: number): Promise<LeaseTerm> {
    const [taken] = await take.execute({ name, holder, ttl: ttlMs });
    if (taken) return { held: true, ...taken };
    const [other] = await read.execute({ name });
    return { held: false, holder: other?.holder ?? 'nobody', token: other?.token ?? 0 };
  }

  async function giveLease(name: string, holder: string): Promise<void> {
    await give.execute({ name, holder });
  }

  return { takeLease, giveLease };
}
