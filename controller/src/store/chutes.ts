// The chutes of the feeds, so that a restart plans before the first feed arrives.

import type { SQL } from 'drizzle-orm';
import type { Chute } from '../domain/chute.ts';
import type { Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { getTableColumns, sql } from './drizzle.ts';
import { distinct, excludedColumns, rowsParameter, selectFromRows, withoutNulls } from './rows.ts';
import { chutes } from './schema.ts';

const changing = excludedColumns(chutes, ['validator', 'chuteId']);

function tuple(columns: readonly (SQL | { getSQL(): SQL })[]): SQL {
  return sql`(${sql.join([...columns], sql`, `)})`;
}

function changed(): SQL {
  const stored = Object.entries(getTableColumns(chutes)).filter(([key]) => key in changing);
  return sql`${tuple(stored.map(([, column]) => column))} is distinct from ${tuple(Object.values(changing))}`;
}

export function chuteStore(db: Database): Pick<Store, 'saveChutes' | 'chutes'> {
  const save = db
    .insert(chutes)
    .select(selectFromRows(chutes))
    .onConflictDoUpdate({ target: [chutes.validator, chutes.chuteId], set: changing, setWhere: changed() })
    .prepare('save_chutes');
  const read = db.select().from(chutes).orderBy(chutes.validator, chutes.chuteId).prepare('chutes');

  async function saveChutes(rows: readonly Chute[]): Promise<void> {
    if (rows.length === 0) return;
    const given = distinct(rows, (chute) => `${chute.validator} ${chute.chuteId}`);
    await save.execute({ rows: rowsParameter(chutes, given) });
  }

  async function all(): Promise<Chute[]> {
    return (await read.execute()).map(withoutNulls);
  }

  return { saveChutes, chutes: all };
}
