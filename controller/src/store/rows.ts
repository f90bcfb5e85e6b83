// Many rows in one statement: they travel as one JSON parameter, so a batch of any size is one round trip and one prepared statement,
// where a VALUES list ends at 65,535 parameters.

import type { SQL } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import { getTableColumns, is, PgCustomColumn, sql } from './drizzle.ts';

/** PostgreSQL takes neither NUL nor lone surrogates in a text; a foreign text must not make a whole batch fail. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\u{fffd}').toWellFormed();
}

function storable(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? storableText(value) : value;
}

type Storable<V> = V extends readonly (infer E)[] ? readonly E[] : null extends V ? V | undefined : V;

/** A row as the domain has it: undefined where the column is null. */
export type RowOf<T extends PgTable> = { [K in keyof T['$inferSelect']]: Storable<T['$inferSelect'][K]> };

/** A number of JSON; a bigint where digits would be lost. */
export function readNumber(digits: string): number | bigint {
  const number = Number(digits);
  return !/^-?\d+$/.test(digits) || BigInt(number) === BigInt(digits) ? number : BigInt(digits);
}

/** The rows of `table` with the column names as keys, ready for `stringify`. */
export function namedRows<T extends PgTable>(table: T, rows: readonly RowOf<T>[]): Record<string, unknown>[] {
  const columns = Object.entries(getTableColumns(table));
  return rows.map((row) => {
    const named: Record<string, unknown> = {};
    for (const [key, column] of columns) {
      const value = (row as Record<string, unknown>)[key];
      const isInstant = is(column, PgCustomColumn) && typeof value === 'number';
      named[column.name] = isInstant ? column.mapToDriverValue(value) : value;
    }
    return named;
  });
}

/** The value of placeholder `rows`. */
export function rowsParameter<T extends PgTable>(table: T, rows: readonly RowOf<T>[]): string {
  return JSON.stringify(namedRows(table, rows), storable);
}

/** `select` of all columns of `table`, in its order, from placeholder `rows`; `computed` replaces columns by SQL over `row`. */
export function selectFromRows(table: PgTable, computed: Record<string, SQL> = {}): SQL {
  const columns = Object.entries(getTableColumns(table)).map(
    ([key, column]) => computed[key] ?? sql`row.${sql.identifier(column.name)}`,
  );
  const rows = sql`json_populate_recordset(null::${table}, ${sql.placeholder('rows')}::json)`;
  return sql`select ${sql.join(columns, sql`, `)} from ${rows} as row`;
}

/** All but the keys, for ON CONFLICT DO UPDATE. */
export function excludedColumns(table: PgTable, keys: readonly string[]): Record<string, SQL> {
  return Object.fromEntries(
    Object.entries(getTableColumns(table))
      .filter(([key]) => !keys.includes(key))
      .map(([key, column]) => [key, sql`excluded.${sql.identifier(column.name)}`]),
  );
}

/** Milliseconds since the Unix epoch as the value of a `timestamptz` placeholder. */
export function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** The value of placeholder `ids`, for `inIds`. */
export function idsParameter(ids: readonly string[]): string {
  return JSON.stringify(ids);
}

/** `in` a list of texts given as placeholder `ids`. */
export function inIds(column: SQL | { getSQL(): SQL }): SQL {
  return sql`${column} in (select json_array_elements_text(${sql.placeholder('ids')}::json))`;
}

export type Optional<T> = { [K in keyof T]: null extends T[K] ? Exclude<T[K], null> | undefined : T[K] };

/** The row itself, as the domain knows it: what is unknown is undefined. */
export function withoutNulls<T extends object>(row: T): Optional<T> {
  const fields = row as Record<string, unknown>;
  for (const key in fields) if (fields[key] === null) fields[key] = undefined;
  return row as Optional<T>;
}

/** The last of each key wins: one statement must not meet a row twice. */
export function distinct<T>(rows: readonly T[], key: (row: T) => string): T[] {
  return [...new Map(rows.map((row) => [key(row), row])).values()];
}
