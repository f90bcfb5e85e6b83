// `plan --dry-run`: what Gepetto would decide now (GET /plan). The miner decides by itself, so there is no other way to run it.

import type { CommandModule, Context } from '../command.ts';
import { decisionView, readPlan } from '../decisions.ts';
import { usageError } from '../errors.ts';

async function run(context: Context): Promise<undefined> {
  if (context.values.dryRun !== true) {
    throw usageError('plan only shows: the miner decides by itself', 'say so with --dry-run');
  }
  const { decisions, held, blocked } = await readPlan(await context.miner());
  await context.out.show({
    value: { decisions, held, blocked },
    names: decisions.map(({ deployment_id }) => deployment_id),
    table(look) {
      const waits = [...held.map((sentence) => `held back: ${sentence}`), ...blocked];
      if (decisions.length === 0) return [...waits, 'nothing would be decided now'].join('\n');
      return [...waits, ...decisions.map((one) => decisionView(one, look))].join('\n\n');
    },
  });
}

export const command: CommandModule = {
  options: [{ flags: '--dry-run', description: 'show the decisions and carry out none of them' }],
  examples: ['plan --dry-run', 'plan --dry-run -o json'],
  run,
};
