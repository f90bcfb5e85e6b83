// The migrations and schema.ts must say the same.

import * as assert from 'uvu/assert';
import { getTableConfig, is, PgTable } from '../drizzle.ts';
import * as schema from '../schema.ts';
import type { Rule } from './world.ts';

const tables = Object.values(schema)
  .filter((value) => is(value, PgTable))
  .map(getTableConfig);

const columns = `select (c.relname || '.' || a.attname) collate "C" as name, format_type(a.atttypid, a.atttypmod) as type,
    a.attnotnull as required, a.atthasdef as defaulted
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
  order by name`;

const indexes = `select c.relname || '.' || string_agg(a.attname, ',' order by k.position) as name,
    i.indisunique as is_unique, i.indisprimary as is_primary, ic.relname as index_name
  from pg_index i
    join pg_class c on c.oid = i.indrelid
    join pg_class ic on ic.oid = i.indexrelid
    cross join unnest(i.indkey) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
  where c.relnamespace = 'public'::regnamespace
  group by c.relname, ic.relname, i.indisunique, i.indisprimary`;

const foreignKeys = `select conrelid::regclass || '.' || a.attname || '>' || confrelid::regclass as name,
    confdeltype::text as on_delete
  from pg_constraint join pg_attribute a on a.attrelid = conrelid and a.attnum = conkey[1]
  where contype = 'f' and connamespace = 'public'::regnamespace`;

function byName<T extends { name: string }>(items: T[]): T[] {
  return items.sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface IndexRow {
  name: string;
  is_unique: boolean;
  is_primary: boolean;
  index_name: string;
}

function indexesOf(table: (typeof tables)[number]): IndexRow[] {
  const on = (names: string[]) => `${table.name}.${names.join(',')}`;
  const single = table.columns.filter((column) => column.primary).map((column) => column.name);
  const primary = table.primaryKeys[0]?.columns.map((column) => column.name) ?? single;
  const rows: IndexRow[] = [
    { name: on(primary), is_unique: true, is_primary: true, index_name: `${table.name}_pkey` },
    ...table.uniqueConstraints.map((constraint) => ({
      name: on(constraint.columns.map((column) => column.name)),
      is_unique: true,
      is_primary: false,
      index_name: constraint.name ?? '',
    })),
    ...table.indexes.map(({ config }) => ({
      name: on(config.columns.map((column) => ('name' in column ? String(column.name) : ''))),
      is_unique: config.unique,
      is_primary: false,
      index_name: config.name ?? '',
    })),
  ];
  return rows;
}

export function tableContract(rule: Rule): void {
  rule('tables, columns, types, nullability and defaults are those of the schema', async ({ rows }) => {
    const wanted = tables.flatMap((table) =>
      table.columns.map((column) => ({
        name: `${table.name}.${column.name}`,
        type: column.getSQLType(),
        required: column.notNull,
        defaulted: column.hasDefault,
      })),
    );
    assert.ok(wanted.length > 70);
    assert.equal(await rows(columns), byName(wanted));
  });

  rule('keys and indexes are those of the schema', async ({ rows }) => {
    const found = (await rows(indexes)) as unknown as IndexRow[];
    assert.equal(byName(found), byName(tables.flatMap(indexesOf)));
  });

  rule('foreign keys are those of the schema, and all of them cascade', async ({ rows }) => {
    const wanted = tables.flatMap((table) =>
      table.foreignKeys.map((key) => {
        const { columns: own, foreignTable } = key.reference();
        const name = `${table.name}.${own[0]?.name}>${getTableConfig(foreignTable).name}`;
        return { name, on_delete: key.onDelete === 'cascade' ? 'c' : 'a' };
      }),
    );
    assert.equal(byName((await rows(foreignKeys)) as unknown as typeof wanted), byName(wanted));
    assert.equal([...new Set(wanted.map((key) => key.on_delete))], ['c']);
  });
}
