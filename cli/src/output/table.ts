// Tables that fit: lists without borders as kubectl has them, boxes as upstream has them. Columns are cut, widest first, to the width given.

import Table from 'cli-table3';
import type { Style } from './style.ts';

export interface Cell {
  text: string;
  style?: Style;
}

export interface TableLook {
  /** Characters; undefined = as wide as it gets. */
  columns: number | undefined;
  paint(text: string, style: Style | undefined): string;
  /** Without UTF-8 borders and ellipses are ASCII. */
  unicode: boolean;
}

const sides = ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'];
const insides = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'];
const empty = Object.fromEntries([...sides, ...insides].map((name) => [name, '']));
const ascii = Object.fromEntries(
  [...sides, ...insides].map((name) => [
    name,
    /^(left|right|middle)$/.test(name) ? '|' : /^(top|mid|bottom)$/.test(name) ? '-' : '+',
  ]),
);

/** Narrowest a column is cut to. */
const minimum = 8;

function widths(rows: readonly (readonly Cell[])[], gap: number, limit: number | undefined): number[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const wide = Array.from({ length: count }, (_, i) => Math.max(...rows.map((row) => row[i]?.text.length ?? 0)));
  if (limit === undefined) return wide;
  let excess = wide.reduce((sum, width) => sum + width + gap, 0) - limit;
  while (excess > 0) {
    const widest = wide.indexOf(Math.max(...wide));
    if ((wide[widest] ?? 0) <= minimum) break;
    wide[widest] = (wide[widest] ?? 0) - 1;
    excess -= 1;
  }
  return wide;
}

function clip(text: string, width: number, ellipsis: string): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(1, width - ellipsis.length))}${ellipsis}`;
}

function cut(rows: readonly (readonly Cell[])[], gap: number, look: TableLook): string[][] {
  const wide = widths(rows, gap, look.columns);
  const ellipsis = look.unicode ? '…' : '.';
  return rows.map((row) => row.map(({ text, style }, i) => look.paint(clip(text, wide[i] ?? 0, ellipsis), style)));
}

/** One line each, whatever is in the text. */
function cells(row: readonly (string | Cell)[]): Cell[] {
  return row.map((cell) => {
    const { text, ...rest } = typeof cell === 'string' ? { text: cell } : cell;
    return { text: text.replace(/\s+/g, ' '), ...rest };
  });
}

/** Upper-case head, two spaces between columns, no lines. */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  look: TableLook,
): string {
  const [first = [], ...rest] = cut([cells(head), ...rows.map(cells)], 2, look);
  const table = new Table({
    head: first,
    chars: { ...empty, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rest);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A box with lines; without a head for pairs of name and value. */
export function boxTable(
  head: readonly string[] | undefined,
  rows: readonly (readonly (string | Cell)[])[],
  look: TableLook,
): string {
  const [first, ...rest] = cut([cells(head ?? []), ...rows.map(cells)], 3, {
    ...look,
    columns: look.columns && look.columns - 1,
  });
  const table = new Table({
    ...(head && { head: first ?? [] }),
    ...(!look.unicode && { chars: ascii }),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rest);
  return table.toString();
}
