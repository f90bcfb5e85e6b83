import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MinerError } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { reportValue, textReport } from './report.ts';
import { meanAndSpread, simulate } from './simulate.ts';
import { makeTrace, near } from './testing.ts';

const trace = makeTrace({ duration: 3600 });
const dir = mkdtempSync(join(tmpdir(), 'strategy-'));
test.after(() => rmSync(dir, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const idle = () => write('idle.ts', 'export const createStrategy = (_seed: number) => ({ act: () => [] });\n');

async function refusal(strategy: string): Promise<string> {
  try {
    await simulate(trace, strategy, [1]);
  } catch (error) {
    if (error instanceof MinerError && ['E-USAGE', 'E-STRATEGY'].includes(error.code)) return error.message;
    throw error;
  }
  throw new Error('was accepted');
}

test('mean and spread are those of a sample', () => {
  const { mean, spread } = meanAndSpread([1, 2, 3, 4]);
  near(mean, 2.5);
  near(spread, Math.sqrt(5 / 3));
  assert.equal(meanAndSpread([7]), { mean: 7, spread: 0 });
});

test('each seed is played once and told as it comes', async () => {
  const told: number[] = [];
  const { runs, mean } = await simulate(trace, 'upstream', [3, 5], ({ seed }) => told.push(seed));
  assert.equal(
    [told, runs.map(({ seed }) => seed)],
    [
      [3, 5],
      [3, 5],
    ],
  );
  assert.ok(mean > 0);
});

test('a strategy is a module that exports createStrategy', async () => {
  const { mean, runs } = await simulate(trace, idle(), [1, 2]);
  assert.equal([mean, runs.length], [0, 2]);
});

test('a strategy that is no module is a program with the seed as its argument', async () => {
  const code = `if (process.argv[2] !== '4') process.exit(9);
require('node:readline').createInterface({ input: process.stdin }).on('line', () => console.log('[]'));`;
  const path = write('program', `#!${process.execPath}\n${code}\n`);
  chmodSync(path, 0o755);
  assert.is((await simulate(trace, path, [4])).runs[0]?.rule_violations, 0);
});

test('a module that is neither a strategy nor hooks, and one that is missing, are refused by name', async () => {
  const wrong = [
    ['empty.ts', 'export const x = 1;\n', /empty\.ts cannot be used: it exports "x"; hooks are/],
    ['number.ts', 'export const createStrategy = 3;\n', /number\.ts must export a function createStrategy/],
    ['broken.ts', 'export function createStrategy( {\n', /broken\.ts cannot be loaded/],
  ] as const;
  for (const [name, text, says] of wrong) assert.match(await refusal(write(name, text)), says);
  assert.match(await refusal(join(dir, 'missing.ts')), /missing\.ts cannot be read/);
});

test('the report compares with upstream, names broken rules and reads as JSON', async () => {
  const bad = write(
    'bad.ts',
    "export const createStrategy = () => ({ act: () => [{ type: 'undeploy', deployment_id: 'x' }] });\n",
  );
  const simulation = await simulate(trace, bad, [1]);
  const baseline = await simulate(trace, 'upstream', [1]);
  const text = textReport(simulation, baseline, 10);
  assert.match(text, /No strategy can exceed 10 .*: 0 % of it/);
  assert.match(text, /score\/USD/);
  assert.match(text, /Rules broken, all seeds: unknown_deployment \d+/);
  assert.match(text, /earns 0\.000 × upstream/);
  const json = reportValue('t', simulation, baseline);
  assert.equal([json.trace, json.ratio, json.mean, json.upstream?.mean], ['t', 0, 0, baseline.mean]);
  assert.not(Object.hasOwn(reportValue('t', baseline, undefined), 'upstream'));
});

test.run();
