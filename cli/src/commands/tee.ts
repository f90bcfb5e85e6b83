// The `tee` commands of upstream work on trusted nodes; this miner runs GraVal nodes.

import type { CommandModule } from '../command.ts';
import { CliError } from '../errors.ts';

export const command: CommandModule = {
  takesAnything: true,
  examples: ['tee node-health --name gpu-0     # not supported on GraVal nodes'],
  async run() {
    throw new CliError('E-NOT-SUPPORTED', 'not supported on GraVal nodes', {
      hint: 'upstream’s chutes-miner works on trusted (TEE) nodes',
    });
  },
};
