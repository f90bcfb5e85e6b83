// One YAML file of branch `main` against its schema: the value, or every problem with its line.

import { isMap, isScalar, LineCounter, type ParsedNode, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { configError, formatAllowed, formatField, formatFound, nearest, type Problem } from './problems.ts';

/** Bytes; far above any sensible file. */
export const longestFile = 256 * 1024;

export interface CheckedFile<T> {
  /** Undefined when there are problems. */
  value: T | undefined;
  problems: Problem[];
  text: string;
}

type Document = ReturnType<typeof parseDocument>;

function parse(text: string, lineCounter: LineCounter): Document {
  return parseDocument(text, { lineCounter, uniqueKeys: true, prettyErrors: false, stringKeys: true });
}

function syntaxProblems(document: Document, file: string, lines: LineCounter): Problem[] {
  const at = (offset: number) => Math.max(1, lines.linePos(offset).line);
  const problems = [...document.errors, ...document.warnings].map(({ message, pos }) => {
    return { file, line: at(pos[0]), field: '', found: `not valid YAML: ${message.split('\n')[0]}`, allowed: '' };
  });
  visit(document, {
    Alias(_, node) {
      problems.push({
        file,
        line: at(node.range?.[0] ?? 0),
        field: '',
        found: 'an alias (*) is not allowed here',
        allowed: '',
      });
    },
  });
  return problems;
}

/** The key of the last part of a path, or the nearest thing above it that exists. */
function nodeAt(document: Document, path: readonly PropertyKey[]): ParsedNode | null | undefined {
  if (path.length === 0) return document.contents as ParsedNode | null;
  const parent: unknown = document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
    if (pair) return pair.key as ParsedNode;
  }
  const node: unknown = document.getIn(path, true);
  return (node as ParsedNode | undefined) ?? nodeAt(document, path.slice(0, -1));
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod;
  return 'innerType' in def ? unwrap(def.innerType as z.core.$ZodType) : schema;
}

/** Names of the fields that the schema knows at a path. */
function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const { def } = unwrap(schema)._zod;
  const [first, ...rest] = path;
  if ('shape' in def) {
    const shape = def.shape as Record<string, z.core.$ZodType>;
    if (first === undefined) return Object.keys(shape);
    const inner = shape[String(first)];
    return inner ? fieldsAt(inner, rest) : [];
  }
  if (first === undefined) return [];
  if ('valueType' in def) return fieldsAt(def.valueType as z.core.$ZodType, rest);
  return 'element' in def ? fieldsAt(def.element as z.core.$ZodType, rest) : [];
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

function lineIn(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  return Math.max(1, lines.linePos(nodeAt(document, path)?.range[0] ?? 0).line);
}

/** Line of a field that is there, or of what should hold it. */
export function lineOf(text: string, path: readonly PropertyKey[]): number {
  const lines = new LineCounter();
  return lineIn(parse(text, lines), lines, path);
}

/** Never throws: `value` or `problems`. `file` is only shown. */
export function checkYamlFile<T>(text: string, file: string, schema: z.ZodType<T>): CheckedFile<T> {
  const size = Buffer.byteLength(text);
  if (size > longestFile) {
    const found = `a file of ${size} bytes`;
    return {
      value: undefined,
      text,
      problems: [{ file, line: 1, field: '', found, allowed: `at most ${longestFile} bytes` }],
    };
  }
  const lines = new LineCounter();
  const document = parse(text, lines);
  const syntax = syntaxProblems(document, file, lines);
  if (syntax.length > 0) return { value: undefined, text, problems: syntax };
  const data: unknown = document.toJS();
  const result = schema.safeParse(data);
  if (result.success) return { value: result.data, text, problems: [] };
  const problems = result.error.issues.flatMap((issue): Problem[] => {
    if (issue.code !== 'unrecognized_keys') {
      const found = formatFound(issue.code === 'invalid_key' ? issue.path.at(-1) : valueAt(data, issue.path));
      return [
        {
          file,
          line: lineIn(document, lines, issue.path),
          field: formatField(issue.path),
          found,
          allowed: formatAllowed(issue),
        },
      ];
    }
    const known = fieldsAt(schema, issue.path);
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const guess = nearest(key, known);
      const allowed = guess ? `${guess} (is that what you mean?)` : known.join(', ');
      return {
        file,
        line: lineIn(document, lines, path),
        field: formatField(path),
        found: 'an unknown field',
        allowed,
      };
    });
  });
  return { value: undefined, text, problems: problems.sort((a, b) => a.line - b.line) };
}

/**
 * The value of a YAML file. Throws E-CONFIG with all problems, each as `miner.yaml:12: policy.mode: found "activ", allowed: "active",
 * "paused", "dry-run"`; `detail.problems` has them as data.
 */
export function parseYamlFile<T>(text: string, path: string, schema: z.ZodType<T>): T {
  const { value, problems } = checkYamlFile(text, path, schema);
  if (value === undefined || problems.length > 0) throw configError(problems);
  return value;
}
