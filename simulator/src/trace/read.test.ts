import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { MinerError } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTrace } from './read.ts';
import { chute, makeTrace, server } from './testing.ts';

const gpuIds = ['0'.repeat(32), '1'.repeat(32)];
const { fleet } = makeTrace({ servers: [server('s', { gpu_count: 2, gpu_ids: gpuIds })] });
const target = { t: 1, type: 'utilization', chute_id: 'c', target_count: 3, scalable: true };

interface Files {
  fleet?: unknown;
  chutes?: unknown;
  events?: unknown[] | string;
  packed?: boolean;
}

/** Reads a trace of these files; indented JSON, so that lines mean something. */
function read(files: Files) {
  const dir = mkdtempSync(join(tmpdir(), 'trace-'));
  try {
    const json = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value, null, 1));
    writeFileSync(join(dir, 'fleet.json'), json(files.fleet ?? fleet));
    writeFileSync(join(dir, 'chutes.json'), json(files.chutes ?? [chute('c')]));
    const events = files.events ?? [target];
    const text = typeof events === 'string' ? events : events.map((event) => JSON.stringify(event)).join('\n');
    if (files.packed) writeFileSync(join(dir, 'events.ndjson.gz'), gzipSync(text));
    else writeFileSync(join(dir, 'events.ndjson'), text);
    return readTrace(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function refusal(files: Files): string {
  try {
    read(files);
  } catch (error) {
    if (error instanceof MinerError && error.code === 'E-CONFIG') return error.message;
    throw error;
  }
  throw new Error('was accepted');
}

test('a trace is read with its fleet, chutes and records', () => {
  const trace = read({});
  assert.is(trace.fleet.servers[0]?.name, 's');
  assert.is(trace.chutes[0]?.chute_id, 'c');
  assert.equal(trace.records, [target]);
});

test('records may be packed with gzip, and empty lines are nothing', () => {
  assert.equal(read({ packed: true }).records, [target]);
  assert.equal(read({ events: `\n${JSON.stringify(target)}\n\n` }).records, [target]);
});

const one = fleet.servers[0];
const refusals: [string, Files, RegExp][] = [
  ['JSON that is none', { fleet: '{\n"format": 1,\n}' }, /^fleet\.json:3: not valid JSON/],
  ['another format', { fleet: { ...fleet, format: 2 } }, /^fleet\.json:2: format: found 2, allowed: 1$/],
  [
    'a wrong type deep inside',
    { fleet: { ...fleet, servers: [{ ...one, hourly_cost: '1' }] } },
    /^fleet\.json:\d+: servers\[0\]\.hourly_cost: found "1", allowed: a number$/,
  ],
  [
    'two servers of one name',
    { fleet: { ...fleet, servers: [one, one] } },
    /servers\[1\]\.name: found "s" a second time/,
  ],
  [
    'too few GPU ids',
    { fleet: { ...fleet, servers: [{ ...one, gpu_count: 3 }] } },
    /gpu_ids: found a list of 2, allowed: 3 ids/,
  ],
  ['a GPU model without data', { fleet: { ...fleet, gpus: {} } }, /servers\[0\]\.gpu_short_ref: found "h100"/],
  [
    'a chute without its simulation data',
    { chutes: [{ ...chute('c'), sim: undefined }] },
    /^chutes\.json:\d+: \[0\]\.sim: found nothing/,
  ],
  [
    'an unknown record',
    { events: [target, { t: 2, type: 'party' }] },
    /^events\.ndjson:2: type: found "party", allowed: .*server_join/,
  ],
  [
    'a record without a field',
    { events: [{ t: 1, type: 'server_lock', server: 's' }] },
    /^events\.ndjson:1: locked: found nothing, allowed: true or false$/,
  ],
  [
    'time that goes back',
    { events: [target, { ...target, t: 0.9 }] },
    /^events\.ndjson:2: t: found 0\.9, allowed: at least 1,/,
  ],
  ['a chute nobody knows', { events: [{ ...target, chute_id: 'x' }] }, /^events\.ndjson:1: chute_id: found "x"/],
  [
    'a server nobody knows',
    { events: [{ t: 1, type: 'server_up', server: 'x' }] },
    /^events\.ndjson:1: server: found "x"/,
  ],
  ['a line that is not JSON', { events: `${JSON.stringify(target)}\n{` }, /^events\.ndjson:2: not valid JSON/],
  [
    'a fault of an unknown scope',
    { events: [{ t: 1, type: 'fault', scope: { rack: 'x' }, until: 2, fail_after_s: 1 }] },
    /^events\.ndjson:1: scope/,
  ],
];
for (const [what, files, message] of refusals) {
  test(`${what} is refused with file, line, field and what is allowed`, () => assert.match(refusal(files), message));
}

test('the line is that of the field', () => {
  const text = JSON.stringify({ ...fleet, duration_s: 0 }, null, 1);
  const line = text.split('\n').findIndex((part) => part.includes('"duration_s"')) + 1;
  assert.is(refusal({ fleet: text }), `fleet.json:${line}: duration_s: found 0, allowed: more than 0`);
});

test('a folder without a trace is E-CONFIG', () => {
  assert.throws(
    () => readTrace('/nonexistent'),
    (error: MinerError) => error.code === 'E-CONFIG',
  );
});

test.run();
