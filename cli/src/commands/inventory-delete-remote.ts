// `inventory delete-remote`: the validator forgets one server; the miner's own inventory stays as it is.

import { type CommandModule, type Context, nameArgument, nameOption, target } from '../command.ts';
import { confirm } from '../prompt.ts';
import { forgetRemote } from '../remote-inventory.ts';

async function run(context: Context): Promise<undefined> {
  const name = target(context);
  await confirm(context, { action: 'have the validator forget', targets: [`server ${name} and the instances on it`] });
  await forgetRemote(context, name);
  await context.out.showText({ name, deleted: true }, `successfully deleted ${name}`, [name]);
}

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['delete-remote --name gpu-0', 'inventory delete-remote gpu-0 --yes'],
  run,
};
