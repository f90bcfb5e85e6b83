// `node unlock`: chutes are placed on it again.

import { type CommandModule, nameArgument, nameOption } from '../command.ts';
import { setLock } from '../lock.ts';

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['node unlock gpu-0', 'unlock --name gpu-0'],
  run: (context) => setLock(context, 'unlock'),
};
