// `node delete`: shows what runs there, asks, and has the miner take the server out.

import { type CommandModule, type Context, nameArgument, nameOption, target } from '../command.ts';
import { deploymentLine, readJobs } from '../inventory.ts';
import { confirm } from '../prompt.ts';
import { showReply } from '../reply.ts';

async function run(context: Context): Promise<undefined> {
  const name = target(context);
  const miner = await context.miner();
  const jobs = await readJobs(miner, name);
  const targets = [`server ${name} with all its deployments`, ...jobs.map((job) => deploymentLine(job))];
  await confirm(context, { action: `delete server ${name}`, targets });
  const reply = await miner.json('DELETE', `/servers/${encodeURIComponent(name)}`, { purpose: 'management' });
  await showReply(context, reply, [name]);
}

export const command: CommandModule = {
  arguments: [nameArgument],
  options: [nameOption],
  examples: ['node delete gpu-0', 'delete-node --name gpu-0 --yes'],
  run,
};
