// `node show`: one server, its deployments and its GPUs.

import { type CommandModule, type Context, nameArgument, nameOption, target } from '../command.ts';
import { selectServer } from '../inventory.ts';

async function run(context: Context): Promise<undefined> {
  const server = await selectServer(context, target(context));
  const { serverView } = await import('../views.ts');
  await context.out.show({ value: server, names: [server.name], table: (look) => serverView(server, look) });
}

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['node show gpu-0', 'node show gpu-0 -o yaml'],
  run,
};
