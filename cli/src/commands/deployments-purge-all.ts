// `deployments purge-all`: everything, jobs included, so it asks twice over.

import type { CommandModule } from '../command.ts';

export const command: CommandModule = {
  options: [
    { flags: '--confirm <start>', description: 'first 6 characters of the hotkey: proof that this miner is meant' },
  ],
  examples: ['deployments purge-all --confirm 5Grwva', 'purge-deployments --confirm 5Grwva --yes'],
  async run(context) {
    const { purgeAll } = await import('../purge.ts');
    return purgeAll(context);
  },
};
