// Scores a strategy on a market trace: node simulator/src/trace/main.ts --trace DIR [--strategy gepetto|upstream|FILE] [--seeds 1-8] [--json].
// Exit 0 when it was played to the end, 2 on bad input or a strategy that failed.

import { MinerError } from '@miner/controller/domain/errors.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { upperBound } from './bound.ts';
import { readTrace } from './read.ts';
import { jsonReport, textReport } from './report.ts';
import { simulate } from './simulate.ts';

const mostSeeds = 1000;

interface Options {
  trace: string;
  strategy: string;
  seeds: number[];
  json: boolean;
}

/** `3`, `1-8` or `1,4,7-9`. */
function seedList(text: string): number[] {
  const seeds = text.split(',').flatMap((part) => {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? from);
    if (!match || to < from || to - from >= mostSeeds) {
      throw new InvalidArgumentError('allowed: whole numbers and ranges, for example 1-8 or 1,4,7-9');
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(seeds)];
}

function parseOptions(argv: readonly string[]): Options {
  const command = new Command('simulate')
    .description('Plays a recorded market against a strategy and scores it.')
    .requiredOption('--trace <dir>', 'folder with fleet.json, chutes.json and events.ndjson')
    .option(
      '--strategy <file>',
      'gepetto, upstream, a module that exports createStrategy(seed), or a program that speaks JSON lines',
      'gepetto',
    )
    .addOption(
      new Option('--seeds <list>', 'seeds to play').argParser(seedList).default([1, 2, 3, 4, 5, 6, 7, 8], '1-8'),
    )
    .option('--json', 'print one JSON object instead of a table', false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv, { from: 'user' });
  return command.opts<Options>();
}

async function main(): Promise<void> {
  const { trace: dir, strategy, seeds, json } = parseOptions(process.argv.slice(2));
  const trace = readTrace(dir);
  const simulation = await simulate(trace, strategy, seeds);
  const baseline = strategy === 'upstream' ? undefined : await simulate(trace, 'upstream', seeds);
  const bound = upperBound(trace);
  console.log(json ? jsonReport(dir, simulation, baseline, bound) : textReport(simulation, baseline, bound));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof MinerError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 2;
}
