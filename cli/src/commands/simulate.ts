// `simulate`: a recorded market played with a strategy, and with the rules of the upstream miner beside it. Needs no miner.

import { type CommandModule, type Context, text } from '../command.ts';

const mostSeeds = 1000;

/** `3`, `1-8` or `1,4,7-9`. */
function seedList(given: string): number[] {
  const seeds = given.split(',').flatMap((part) => {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? from);
    if (!match || to < from || to - from >= mostSeeds) {
      throw new Error('allowed: whole numbers and ranges, for example 1-8 or 1,4,7-9');
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(seeds)];
}

const defaultSeeds = '1-8';

async function run({ values, out, io }: Context): Promise<undefined> {
  const dir = text(values, 'trace') ?? '';
  const strategy = text(values, 'strategy') ?? 'gepetto';
  const seeds = (values.seeds as number[] | undefined) ?? seedList(defaultSeeds);
  const [{ readTrace }, { simulate }, { reportValue, textReport }, { upperBound }] = await Promise.all([
    import('@miner/simulator/trace/read.ts'),
    import('@miner/simulator/trace/simulate.ts'),
    import('@miner/simulator/trace/report.ts'),
    import('@miner/simulator/trace/bound.ts'),
  ]);
  const trace = readTrace(dir);

  function play(name: string) {
    let started = io.now();
    let played = 0;
    return simulate(trace, name, seeds, ({ seed, score }) => {
      played += 1;
      const seconds = ((io.now() - started) / 1000).toFixed(1);
      out.note(`${name}: ${played} of ${seeds.length}, seed ${seed}: ${score.toFixed(1)} in ${seconds} s`);
      started = io.now();
    });
  }

  const simulation = await play(strategy);
  const baseline = strategy === 'upstream' ? undefined : await play('upstream');
  const bound = upperBound(trace);
  await out.showText(reportValue(dir, simulation, baseline, bound), textReport(simulation, baseline, bound));
}

export const command: CommandModule = {
  options: [
    {
      flags: '--trace <dir>',
      description: 'folder with fleet.json, chutes.json and events.ndjson or events.ndjson.gz',
      required: true,
    },
    {
      flags: '--strategy <file>',
      description:
        'gepetto (the built-in one), upstream, a strategy.ts with hooks, a module that exports createStrategy(seed), or a program that answers JSON lines',
      default: 'gepetto',
    },
    { flags: '--seeds <list>', description: `seeds to play (default: ${defaultSeeds})`, parse: seedList },
    { flags: '--json', description: 'the same as -o json' },
  ],
  examples: [
    'simulate --trace traces/medium-1',
    'simulate --trace traces/medium-1 --strategy strategy/strategy.ts --seeds 1',
    'simulate --trace traces/medium-1 --json | jq .ratio     # score as a multiple of upstream',
  ],
  run,
};
