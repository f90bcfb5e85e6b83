// What keeps the database small and tells whether it is there.

import type { Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, lt, notExists, sql } from './drizzle.ts';
import { decisions, deployments, events } from './schema.ts';

export function upkeep(db: Database): Pick<Store, 'prune' | 'ping'> {
  /** A decision stays as long as the deployment it made: `why` must have an answer for whatever runs. */
  function prune(before: number): Promise<number> {
    return db.transaction(async (tx) => {
      const lifecycles = await tx.delete(deployments).where(lt(deployments.goneAt, before)).returning({ n: sql`1` });
      const deployment = tx
        .select({ n: sql`1` })
        .from(deployments)
        .where(sql`${deployments.deploymentId} = ${decisions.deploymentId}`);
      const old = and(lt(decisions.decidedAt, before), notExists(deployment));
      const journal = await tx.delete(decisions).where(old).returning({ n: sql`1` });
      const handled = await tx.delete(events).where(lt(events.handledAt, before)).returning({ n: sql`1` });
      return lifecycles.length + journal.length + handled.length;
    });
  }

  async function ping(): Promise<void> {
    await db.execute(sql`select 1`);
  }

  return { prune, ping };
}
