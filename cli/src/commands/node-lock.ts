// `node lock`: what runs goes on, nothing new is placed.

import { type CommandModule, nameArgument, nameOption } from '../command.ts';
import { setLock } from '../lock.ts';

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['node lock gpu-0', 'lock --name gpu-0'],
  run: (context) => setLock(context, 'lock'),
};
