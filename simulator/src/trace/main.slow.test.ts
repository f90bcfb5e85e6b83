// The program on a trace of its own, and on recorded ones where TRACES names their folder.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTrace } from './read.ts';
import { simulate } from './simulate.ts';
import { chute, makeTrace, server } from './testing.ts';

const dir = mkdtempSync(join(tmpdir(), 'trace-'));
test.after(() => rmSync(dir, { recursive: true }));

function run(...args: string[]) {
  const main = join(import.meta.dirname, 'main.ts');
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 60_000 });
}

test.before(() => {
  const gpuIds = Array.from({ length: 8 }, (_, i) => String(i).repeat(32));
  const { fleet } = makeTrace({ servers: [server('s', { gpu_ids: gpuIds })], duration: 7200 });
  writeFileSync(join(dir, 'fleet.json'), JSON.stringify(fleet));
  writeFileSync(join(dir, 'chutes.json'), JSON.stringify([chute('c')]));
  writeFileSync(join(dir, 'events.ndjson'), '');
});

test('a trace is scored as a table', () => {
  const { stdout, status } = run('--trace', dir, '--seeds', '1-2');
  assert.is(status, 0);
  assert.match(stdout, /mean ± spread/);
});

test('a trace is scored as JSON beside upstream', () => {
  const file = join(dir, 'idle.ts');
  writeFileSync(file, 'export const createStrategy = () => ({ act: () => [] });\n');
  const { stdout, status } = run('--trace', dir, '--seeds', '1,3-4', '--strategy', file, '--json');
  assert.is(status, 0);
  const report = JSON.parse(stdout);
  assert.equal(
    report.runs.map(({ seed }: { seed: number }) => seed),
    [1, 3, 4],
  );
  assert.is(report.ratio, 0);
  assert.ok(report.upstream.mean > 0);
});

for (const [what, args, message] of [
  ['no trace', [], /required option '--trace/],
  ['a folder that is none', ['--trace', '/nonexistent'], /E-CONFIG: .*cannot be read/],
  ['bad seeds', ['--trace', dir, '--seeds', '3-1'], /allowed: whole numbers and ranges/],
  ['no strategy', ['--trace', dir, '--strategy', '/nonexistent.ts'], /E-USAGE: .*cannot be loaded/],
] as const) {
  test(`${what}: exit 2 and one message`, () => {
    const { status, stderr } = run(...args);
    assert.is(status, 2);
    assert.match(stderr, message);
    assert.not.match(stderr, /\n\s+at /);
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
