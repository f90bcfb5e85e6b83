// `version`: of this program, and the Node that runs it.

import type { CommandModule, Context } from '../command.ts';
import { version } from '../version.ts';

async function run({ out }: Context): Promise<undefined> {
  await out.showText({ version, node: process.version }, `chutes-miner ${version}`, [version]);
}

export const command: CommandModule = { examples: ['version', 'version -o json'], run };
