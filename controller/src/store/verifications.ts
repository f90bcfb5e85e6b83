// Verifications under way: one row for each server, written before each step and gone with the last.

import type { Store } from '../domain/ports.ts';
import type { Verification } from '../domain/verification.ts';
import type { Database } from './database.ts';
import { asc, eq } from './drizzle.ts';
import { verifications } from './schema.ts';

/** JSON has no undefined; a field that is missing comes back as one. */
function whole(stored: Verification): Verification {
  return { ...stored, failure: stored.failure };
}

export function verificationStore(db: Database): Pick<Store, 'verifications' | 'saveVerification' | 'endVerification'> {
  return {
    async verifications() {
      const rows = await db.select().from(verifications).orderBy(asc(verifications.name));
      return rows.map(({ verification }) => whole(verification));
    },
    async saveVerification(verification) {
      const row = { name: verification.name, verification };
      await db.insert(verifications).values(row).onConflictDoUpdate({ target: verifications.name, set: row });
    },
    async endVerification(name) {
      await db.delete(verifications).where(eq(verifications.name, name));
    },
  };
}
