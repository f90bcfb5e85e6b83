// YAML documents as plain data. Manifests use few of YAML's forms; those are read by a reader of their own, about a hundred times as
// fast (thousands are read at a start). Whatever it does not know for certain it leaves to the full parser: same values, same errors.

import { parseAllDocuments } from 'yaml';
import { MinerError } from '../domain/errors.ts';

/** The text has a form that this reader does not know. */
class Unknown extends Error {}

const plainKey = /^[A-Za-z/][A-Za-z0-9_./@-]*$/;
const quotedKey = /^("(?:[^"\\]|\\.)*"):(?: (.*))?$/;
const plainText = /^(?:[A-Za-z/][A-Za-z0-9_./@:-]*|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const words = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
const longestWord = 5;
const integer = /^(?:0|-?[1-9]\d{0,14})$/;

interface Cursor {
  lines: string[];
  at: number;
}

function quoted(text: string): string {
  const inner = text.slice(1, -1);
  if (text.length > 1 && text.endsWith('"') && /^[ !#-[\]-~]*$/.test(inner)) return inner;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'string') return value;
  } catch {
    // Escapes that JSON does not have.
  }
  throw new Unknown();
}

/** Whether some version of YAML reads the text as something else than text. */
function isWord(text: string): boolean {
  return text.length <= longestWord && words.test(text);
}

function scalar(text: string): unknown {
  if (text.startsWith('"')) return quoted(text);
  if (text === '[]') return [];
  if (text === '{}') return {};
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  if (plainText.test(text)) {
    if (text.endsWith(':') || isWord(text)) throw new Unknown();
    return text;
  }
  if (integer.test(text)) return Number(text);
  throw new Unknown();
}

/** Names of fields seen before: the same few are in every manifest. */
const knownKeys = new Map<string, string>();
const knownKeysKept = 1000;

function keyNamed(text: string): string | undefined {
  const known = knownKeys.get(text);
  if (known !== undefined) return known;
  if (!plainKey.test(text)) return undefined;
  if (knownKeys.size < knownKeysKept) knownKeys.set(text, text);
  return text;
}

interface Field {
  name: string;
  /** What stands behind the colon on the same line. */
  rest: string;
}

/** Undefined for a line that is no field of a mapping. */
function fieldOf(line: string): Field | undefined {
  if (line.startsWith('"')) {
    const match = quotedKey.exec(line);
    return match ? { name: quoted(match[1] ?? ''), rest: match[2] ?? '' } : undefined;
  }
  const colon = line.indexOf(':');
  const ends = colon === line.length - 1;
  if (colon < 1 || !(ends || line.charCodeAt(colon + 1) === 0x20)) return undefined;
  const name = keyNamed(line.slice(0, colon));
  return name === undefined ? undefined : { name, rest: line.slice(colon + 2) };
}

function indentOf(line: string): number {
  let indent = 0;
  while (line.charCodeAt(indent) === 0x20) indent++;
  return indent;
}

/** A literal block; its first line shows the indentation. */
function block(cursor: Cursor, header: string, parent: number): string {
  const first = cursor.lines[cursor.at] ?? '';
  const indent = indentOf(first);
  if (first.trim() === '' || indent <= parent || first[indent] === '\t') throw new Unknown();
  const lines: string[] = [];
  for (; cursor.at < cursor.lines.length; cursor.at++) {
    const line = cursor.lines[cursor.at] ?? '';
    if (line === '') lines.push('');
    else if (indentOf(line) >= indent) lines.push(line.slice(indent));
    else if (line.trim() === '') throw new Unknown();
    else break;
  }
  const text = lines.join('\n');
  const body = text.replace(/\n+$/, '');
  if (header === '|-') return body;
  return header === '|' ? `${body}\n` : `${text}\n`;
}

/** What stands after `key:` or `- ` in a collection at `indent`. */
function value(cursor: Cursor, rest: string, indent: number): unknown {
  if (rest === '|' || rest === '|-' || rest === '|+') return block(cursor, rest, indent);
  if (rest !== '') return scalar(rest);
  const next = cursor.lines[cursor.at] ?? '';
  const inner = indentOf(next);
  if (inner > indent) return collection(cursor, inner);
  if (inner === indent && next.startsWith('- ', indent)) return sequence(cursor, indent);
  throw new Unknown();
}

function sequence(cursor: Cursor, indent: number): unknown[] {
  const items: unknown[] = [];
  for (; cursor.at < cursor.lines.length; ) {
    const line = cursor.lines[cursor.at] ?? '';
    if (indentOf(line) !== indent || !line.startsWith('- ', indent)) break;
    const rest = line.slice(indent + 2);
    if (rest.startsWith('- ') || fieldOf(rest)) {
      // A collection that begins on the line of its dash, as if it had begun below.
      cursor.lines[cursor.at] = `${' '.repeat(indent + 2)}${rest}`;
      items.push(collection(cursor, indent + 2));
    } else {
      cursor.at++;
      if (rest === '') throw new Unknown();
      items.push(value(cursor, rest, indent));
    }
  }
  return items;
}

function mapping(cursor: Cursor, indent: number): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  for (; cursor.at < cursor.lines.length; ) {
    const line = cursor.lines[cursor.at] ?? '';
    if (indentOf(line) !== indent) break;
    const field = fieldOf(line.slice(indent));
    if (!field) break;
    cursor.at++;
    const { name, rest } = field;
    if (isWord(name) || name === '__proto__' || Object.hasOwn(entries, name)) throw new Unknown();
    entries[name] = value(cursor, rest, indent);
  }
  return entries;
}

function collection(cursor: Cursor, indent: number): unknown {
  const line = cursor.lines[cursor.at] ?? '';
  if (line.startsWith('- ', indent)) return sequence(cursor, indent);
  if (!fieldOf(line.slice(indent))) throw new Unknown();
  return mapping(cursor, indent);
}

function document(text: string): unknown {
  const cursor = { lines: text.split('\n'), at: 0 };
  if (cursor.lines.pop() !== '' || cursor.lines.length === 0) throw new Unknown();
  const data = collection(cursor, 0);
  if (cursor.at < cursor.lines.length) throw new Unknown();
  return data;
}

/** The documents of a text in the simple form; undefined when it has any other form. */
export function readSimpleYaml(text: string): unknown[] | undefined {
  try {
    // Documents are parted by a line `---`, which no literal block can hold at the left margin.
    return text.split(/^---\n/m).map(document);
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

function readAnyYaml(text: string): unknown[] {
  const documents = parseAllDocuments(text, { uniqueKeys: true, prettyErrors: true });
  return [...documents].map((parsed) => {
    const [problem] = [...parsed.errors, ...parsed.warnings];
    if (problem) throw new MinerError('E-GUARD', `not valid YAML: ${problem.message.split('\n')[0]}`);
    try {
      return parsed.toJS({ maxAliasCount: 0 });
    } catch (error) {
      throw new MinerError('E-GUARD', 'YAML aliases are not allowed', { cause: error });
    }
  });
}

export interface YamlText {
  documents: unknown[];
  /** Every value stands in the text as it is: nothing is escaped, folded or left out. */
  literal: boolean;
}

/** All documents of a YAML 1.2 text; throws E-GUARD on aliases and on what the parser finds wrong. */
export function readYaml(text: string): YamlText {
  const simple = readSimpleYaml(text);
  if (simple) return { documents: simple, literal: !text.includes('\\') };
  return { documents: readAnyYaml(text), literal: false };
}
