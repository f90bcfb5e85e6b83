// `strategy serve`: the planner behind a pipe, for a scorer of somebody else's. A snapshot per line in, a list of actions per line out.

import { type CommandModule, type Context, number, text } from '../command.ts';
import { readStrategy } from '../strategy-file.ts';

async function* bytesOf(input: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  for await (const chunk of input) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

function seedNumber(given: string): number {
  if (/^\d{1,9}$/.test(given)) return Number(given);
  throw new Error('allowed: a whole number');
}

async function run({ io, values }: Context): Promise<undefined> {
  const { serve } = await import('@miner/simulator/trace/serve.ts');
  const file = text(values, 'strategy');
  await serve({
    input: bytesOf(io.stdin),
    write: (line) => io.stdout.write(line),
    seed: number(values, 'seed') ?? 1,
    hooks: file === undefined ? undefined : { text: await readStrategy(file), name: file },
  });
}

export const command: CommandModule = {
  options: [
    { flags: '--strategy <file>', description: 'let this strategy.ts advise the planner' },
    {
      flags: '--seed <n>',
      description: 'names the deployments; the planner itself throws no dice (default: 1)',
      parse: seedNumber,
    },
  ],
  examples: ['strategy serve < snapshots.ndjson > actions.ndjson', 'strategy serve --strategy strategy/strategy.ts'],
  run,
};
