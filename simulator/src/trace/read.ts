// A trace directory from disk, checked as a whole: shapes, known names, order in time. Bad input is E-CONFIG with file, line, field,
// what was found and what is allowed.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  configError,
  formatAllowed,
  formatField,
  formatFound,
  type Problem,
} from '@miner/controller/clusterrepo/problems.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import { isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import {
  type ChuteSpec,
  chutesSchema,
  type Fleet,
  fleetSchema,
  recordSchema,
  type Trace,
  type TraceRecord,
} from './format.ts';

/** More are the same mistake again. */
const shownProblems = 20;

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new MinerError('E-CONFIG', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function parseJson(text: string, file: string, line?: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = line ?? Number(/line (\d+)/.exec(messageOf(error))?.[1] ?? 1);
    throw configError([{ file, line: at, field: '', found: `not valid JSON: ${messageOf(error)}`, allowed: '' }]);
  }
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const part of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[part];
  return value;
}

/** Line of a field, or of the nearest thing above it. JSON is YAML, so its parser knows where things are. */
function lineFinder(text: string): (path: readonly PropertyKey[]) => number {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return (path) => {
    for (let length = path.length; length >= 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };
}

interface Place {
  file: string;
  line: (path: readonly PropertyKey[]) => number;
}

function check<T>(schema: z.ZodType<T>, data: unknown, { file, line }: Place): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const problems = result.error.issues.slice(0, shownProblems).map((issue): Problem => {
    const { path } = issue;
    const unknownType = issue.code === 'invalid_union';
    const allowed = unknownType ? `a record type: ${recordTypes.join(', ')}` : formatAllowed(issue);
    return { file, line: line(path), field: formatField(path), found: formatFound(valueAt(data, path)), allowed };
  });
  throw configError(problems);
}

const recordTypes = recordSchema.options.map(({ shape }) => shape.type.value);

function checkFleet(fleet: Fleet, { file, line }: Place): void {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [i, server] of fleet.servers.entries()) {
    const fail = (field: string, found: string, allowed: string) => {
      const path = ['servers', i, field];
      problems.push({ file, line: line(path), field: formatField(path), found, allowed });
    };
    if (seen.has(server.name)) fail('name', `"${server.name}" a second time`, 'a name used once');
    seen.add(server.name);
    if (server.gpu_ids.length !== server.gpu_count) {
      fail('gpu_ids', `a list of ${server.gpu_ids.length}`, `${server.gpu_count} ids, as gpu_count says`);
    }
    if (!Object.hasOwn(fleet.gpus, server.gpu_short_ref)) {
      fail('gpu_short_ref', `"${server.gpu_short_ref}"`, `one of ${Object.keys(fleet.gpus).join(', ')}`);
    }
  }
  if (problems.length > 0) throw configError(problems.slice(0, shownProblems));
}

/** Throws E-CONFIG with file, line, field, what was found and what is allowed. */
export function readDocument<T>(dir: string, file: string, schema: z.ZodType<T>): { value: T; place: Place } {
  const text = readFile(join(dir, file)).toString('utf8');
  const data = parseJson(text, file);
  let find: ReturnType<typeof lineFinder> | undefined;
  const line = (path: readonly PropertyKey[]) => {
    find ??= lineFinder(text);
    return find(path);
  };
  const place = { file, line };
  return { value: check(schema, data, place), place };
}

function readRecords(dir: string, fleet: Fleet, chutes: readonly ChuteSpec[]): TraceRecord[] {
  const plain = join(dir, 'events.ndjson');
  const packed = !existsSync(plain);
  const file = packed ? 'events.ndjson.gz' : 'events.ndjson';
  const bytes = readFile(packed ? `${plain}.gz` : plain);
  const servers = new Set(fleet.servers.map(({ name }) => name));
  const known = new Set(chutes.map(({ chute_id }) => chute_id));
  const records: TraceRecord[] = [];
  let last = 0;
  for (const [i, text] of (packed ? gunzipSync(bytes) : bytes).toString('utf8').split('\n').entries()) {
    if (text.trim() === '') continue;
    const at = i + 1;
    const record = check(recordSchema, parseJson(text, file, at), { file, line: () => at });
    const refuse = (field: string, found: unknown, allowed: string): never => {
      throw configError([{ file, line: at, field, found: formatFound(found), allowed }]);
    };
    if (record.t < last) refuse('t', record.t, `at least ${last}, the time of the record before`);
    if ('chute_id' in record && !known.has(record.chute_id)) {
      refuse('chute_id', record.chute_id, 'a chute of chutes.json');
    }
    if ('server' in record && !servers.has(record.server)) refuse('server', record.server, 'a server of fleet.json');
    last = record.t;
    records.push(record);
  }
  return records;
}

/** Reads fleet.json, chutes.json and events.ndjson (or events.ndjson.gz). Throws E-CONFIG. */
export function readTrace(dir: string): Trace {
  if (!existsSync(join(dir, 'fleet.json'))) {
    throw new MinerError(
      'E-CONFIG',
      `${dir} holds no trace: fleet.json, chutes.json and events.ndjson(.gz) are expected there.`,
    );
  }
  const { value: fleet, place } = readDocument(dir, 'fleet.json', fleetSchema);
  checkFleet(fleet, place);
  const { value: chutes } = readDocument(dir, 'chutes.json', chutesSchema);
  return { fleet, chutes, records: readRecords(dir, fleet, chutes) };
}
