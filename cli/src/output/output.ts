// Where words go: results on stdout in the format asked for, everything else on stderr. Credentials in an answer are never shown.

import type { Io } from '../command.ts';
import { toJson } from '../json.ts';
import { type Paint, painter } from './style.ts';
import type { Cell, TableLook } from './table.ts';

const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

export interface Column<T> {
  head: string;
  cell(item: T): string | Cell;
  /** Only with `-o wide`. */
  wide?: boolean;
}

/** One result in all its formats. */
export interface Shown {
  /** For `json` and `yaml`. */
  value: unknown;
  /** For `name`: one line each. */
  names: readonly string[];
  /** For `table` and `wide`. */
  table(look: TableLook, isWide: boolean): string | Promise<string>;
}

export interface Output {
  readonly format: Format;
  readonly look: TableLook;
  readonly paint: Paint;
  readonly quiet: boolean;
  /** A line on stdout. */
  line(text: string): void;
  /** The result, in the format asked for. */
  show(shown: Shown): Promise<void>;
  /** A result that is text for people and one JSON document for programs. */
  showText(value: unknown, text: string, names?: readonly string[]): Promise<void>;
  /** A list as a plain table. */
  showList<T>(items: readonly T[], columns: readonly Column<T>[], options: ListOptions<T>): Promise<void>;
  /** Progress and remarks, on stderr; `--quiet` leaves them out. */
  note(text: string): void;
  /** On stderr, also when quiet. */
  warn(text: string): void;
}

export interface ListOptions<T> {
  name(item: T): string;
  /** JSON and YAML show this instead of the items. */
  value?: unknown;
  /** Said on stderr when there is nothing. */
  none: string;
}

const credentials = new Set(['kubeconfig', 'symmetric_key', 'token', 'client-key-data', 'secretSeed']);

/** Upstream sends kubeconfigs in its inventory; nobody needs to see them. */
export function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      credentials.has(key) && part !== null ? '(not shown)' : withoutCredentials(part),
    ]),
  );
}

export interface OutputOptions {
  format: Format;
  quiet: boolean;
  color: boolean;
}

function columnsOf({ env, stdout }: Io): number | undefined {
  const given = Number(env.COLUMNS);
  if (Number.isInteger(given) && given > 0) return Math.max(40, given);
  return stdout.isTTY ? stdout.columns : undefined;
}

/** UTF-8 unless the locale says otherwise. */
function isUnicode(env: Io['env']): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return locale === '' || /utf-?8/i.test(locale);
}

export function createOutput(io: Io, { format, quiet, color }: OutputOptions): Output {
  const paint = painter(color && !io.env.NO_COLOR && io.stdout.isTTY === true);
  const look: TableLook = { columns: columnsOf(io), paint, unicode: isUnicode(io.env) };

  function line(text: string): void {
    io.stdout.write(`${text}\n`);
  }

  async function show({ value, names, table }: Shown): Promise<void> {
    if (format === 'json') return line(toJson(withoutCredentials(value), 2));
    if (format === 'yaml') {
      const { stringify } = await import('yaml');
      io.stdout.write(stringify(withoutCredentials(value), { lineWidth: 0, aliasDuplicateObjects: false }));
      return;
    }
    if (format === 'name') {
      for (const name of names) line(name);
      return;
    }
    const text = await table(look, format === 'wide');
    if (text !== '') line(text);
  }

  return {
    format,
    look,
    paint,
    quiet,
    line,
    show,
    showText: (value, text, names = []) => show({ value, names, table: () => text }),
    async showList(items, columns, { name, value = items, none }) {
      await show({
        value,
        names: items.map(name),
        async table(_look, isWide) {
          if (items.length === 0) {
            if (!quiet) io.stderr.write(`${none}\n`);
            return '';
          }
          const { plainTable } = await import('./table.ts');
          const shown = columns.filter((column) => isWide || !column.wide);
          const heads = shown.map(({ head }) => head);
          return plainTable(
            heads,
            items.map((item) => shown.map(({ cell }) => cell(item))),
            look,
          );
        },
      });
    },
    note(text) {
      if (!quiet) io.stderr.write(`${text}\n`);
    },
    warn: (text) => void io.stderr.write(`${text}\n`),
  };
}
