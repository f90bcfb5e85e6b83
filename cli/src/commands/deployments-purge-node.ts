// `deployments purge-node`: the deployments of one server; jobs stay.

import { type CommandModule, nameArgument, nameOption, target } from '../command.ts';

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['deployments purge-node gpu-0', 'purge-server -n gpu-0 --yes'],
  async run(context) {
    const name = target(context);
    const { purgeServer } = await import('../purge.ts');
    return purgeServer(context, name);
  },
};
