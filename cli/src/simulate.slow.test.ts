// `simulate` and `strategy serve` on a trace of their own, and on recorded ones where TRACES names their folder.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTrace } from '@miner/simulator/trace/read.ts';
import { createReplay } from '@miner/simulator/trace/replay.ts';
import { simulate } from '@miner/simulator/trace/simulate.ts';
import { chute, makeTrace, server } from '@miner/simulator/trace/testing.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { call } from './testing/run.ts';

const dir = mkdtempSync(join(tmpdir(), 'trace-'));
const example = fileURLToPath(new URL('../../cluster-repo-template/strategy/strategy.example.ts', import.meta.url));
test.after(() => rmSync(dir, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const gpuIds = Array.from({ length: 8 }, (_, i) => String(i).repeat(32));
const { fleet } = makeTrace({ servers: [server('s', { gpu_ids: gpuIds })], duration: 7200 });

test.before(() => {
  file('fleet.json', JSON.stringify(fleet, null, 1));
  file('chutes.json', JSON.stringify([chute('c')]));
  file('events.ndjson', '');
});

const score = (...args: string[]) => call(['simulate', '--trace', dir, ...args]);

test('a trace is scored as a table, with progress on stderr', async () => {
  const { stdout, stderr, code } = await score('--seeds', '1-2');
  assert.is(code, 0);
  assert.match(stdout, /mean ± spread/);
  assert.match(stdout, /gepetto earns \d+\.\d+ × upstream/);
  assert.match(stderr, /^gepetto: 1 of 2, seed 1: \d+\.\d in \d+\.\d s\n[\s\S]*upstream: 2 of 2/);
});

test('a trace is scored as JSON beside upstream', async () => {
  const idle = file('idle.ts', 'export const createStrategy = () => ({ act: () => [] });\n');
  const { stdout, code } = await score('--seeds', '1,3-4', '--strategy', idle, '--json', '-q');
  assert.is(code, 0);
  const report = JSON.parse(stdout);
  assert.equal(
    report.runs.map(({ seed }: { seed: number }) => seed),
    [1, 3, 4],
  );
  assert.is(report.ratio, 0);
  assert.ok(report.upstream.mean > 0);
});

async function scoreOf(strategy: string): Promise<number> {
  const { stdout, stderr, code } = await score('--seeds', '1', '--json', '--strategy', strategy);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout).runs[0].score;
}

test('a strategy.ts with hooks is played: one without a word earns what the default earns, one that vetoes all nothing', async () => {
  const silent = file('silent.ts', 'export function score() {}\n');
  const vetoer = file('vetoer.ts', "import type { Veto } from './hooks.ts';\nexport const veto: Veto = () => true;\n");
  const built = await scoreOf('gepetto');
  assert.ok(built > 0);
  assert.is(await scoreOf(silent), built);
  assert.is(await scoreOf(example), built);
  assert.is(await scoreOf(vetoer), 0);
});

test('strategy serve answers each snapshot as the planner in this process does', async () => {
  const run = createReplay(readTrace(dir));
  const lines: string[] = [];
  for (let snapshot = run.next(); snapshot && lines.length < 3; snapshot = run.next())
    lines.push(JSON.stringify(snapshot));
  const { stdout, code } = await call(['strategy', 'serve'], { types: `${lines.join('\n')}\n` });
  assert.is(code, 0);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(answers.length, 3);
  assert.equal([answers[0][0].type, answers[0][0].chute_id], ['deploy', chute('c').chute_id]);
  const hooked = await call(['strategy', 'serve', '--strategy', example], { types: `${lines.join('\n')}\n` });
  assert.equal(hooked.stdout, stdout);
});

const bad = {
  missing: join(dir, 'nowhere'),
  field: join(dir, 'field'),
  hang: () => file('hang.ts', 'export const score = () => { for (;;); };\n'),
  word: () => file('word.ts', 'export const score = () => "much";\n'),
  load: () => file('load.ts', 'throw new Error("not today");\n'),
  env: () => file('env.ts', 'export const score = () => process.env.HOME.length;\n'),
};

for (const [what, args, message] of [
  ['no trace', () => ['simulate'], /--trace is missing/],
  [
    'a folder that is none',
    () => ['simulate', '--trace', bad.missing],
    /nowhere holds no trace: fleet\.json, chutes\.json/,
  ],
  [
    'bad seeds',
    () => ['simulate', '--trace', dir, '--seeds', '3-1'],
    /--seeds: found "3-1", allowed: whole numbers and ranges/,
  ],
  [
    'no strategy',
    () => ['simulate', '--trace', dir, '--strategy', bad.missing],
    /strategy .*nowhere.* cannot (be read|run)/,
  ],
  [
    'no strategy.ts',
    () => ['simulate', '--trace', dir, '--strategy', '/nonexistent.ts'],
    /\/nonexistent\.ts cannot be read: ENOENT/,
  ],
  [
    'a strategy that hangs',
    () => ['simulate', '--trace', dir, '--strategy', bad.hang()],
    /hang\.ts cannot be used: it took longer than 2000 ms/,
  ],
  [
    'a strategy with bad output',
    () => ['simulate', '--trace', dir, '--strategy', bad.word()],
    /word\.ts cannot be used: score gave "much" for /,
  ],
  [
    'a strategy that throws at load',
    () => ['simulate', '--trace', dir, '--strategy', bad.load()],
    /load\.ts cannot be used: .*not today/,
  ],
  [
    'a strategy that looks around',
    () => ['simulate', '--trace', dir, '--strategy', bad.env()],
    /process is not defined/,
  ],
  ['a line that is no snapshot', () => ['strategy', 'serve'], /line/],
] as const) {
  test(`${what}: exit 2 and one sentence`, async () => {
    const { code, stdout, stderr } = await call(args(), { types: 'what?\n' });
    assert.is(code, 2, stderr);
    assert.match(stderr, message);
    assert.is(stdout, '');
    assert.match(stderr, /^(hint|error): [^\n]*\n(hint: [^\n]*\n)?$/);
  });
}

for (const [name, text, message] of [
  ['fleet.json', '{"duration_s": "long"}', /fleet\.json:\d+: .*found .*allowed/],
  ['chutes.json', '[\n{]', /chutes\.json:2: not valid JSON/],
  ['events.ndjson', '\n{"t":1,"type":"jobs"}\n', /events\.ndjson:2: type: found "jobs", allowed: a record type/],
] as const) {
  test(`a mistake in ${name}: exit 2 with file, line and field`, async () => {
    const good: Record<string, string> = {
      'fleet.json': JSON.stringify(fleet),
      'chutes.json': JSON.stringify([chute('c')]),
      'events.ndjson': '',
    };
    const folder = mkdtempSync(join(dir, 'bad-'));
    for (const [path, content] of Object.entries({ ...good, [name]: text })) writeFileSync(join(folder, path), content);
    const { code, stderr } = await call(['simulate', '--trace', folder]);
    assert.is(code, 2);
    assert.match(stderr, message);
  });
}

const traces = process.env.TRACES;
if (traces) {
  test('upstream on the recorded small market scores as an independent scorer does, within two spreads', async () => {
    const { mean, runs } = await simulate(readTrace(join(traces, 'small-1')), 'upstream', [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.ok(Math.abs(mean - 588.7) < 2 * 21.7, `mean ${mean}`);
    for (const { rule_violations, cost_usd } of runs) assert.equal([rule_violations, cost_usd], [0, 1886.016]);
  });
}

test.run();
