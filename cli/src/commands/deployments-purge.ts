// `deployments purge`: one deployment, or those of one server.

import { type CommandModule, type Context, text } from '../command.ts';
import { usageError } from '../errors.ts';

async function run(context: Context): Promise<undefined> {
  const id = context.args[0] ?? text(context.values, 'deploymentId');
  const node = text(context.values, 'nodeId');
  if ((id === undefined) === (node === undefined)) {
    throw usageError('exactly one of --deployment-id and --node-id must be given');
  }
  const { purgeDeployment, purgeServer } = await import('../purge.ts');
  return id === undefined ? purgeServer(context, node ?? '') : purgeDeployment(context, id);
}

export const command: CommandModule = {
  arguments: [{ name: '[deployment-id]', description: 'the deployment, instead of --deployment-id' }],
  options: [
    { flags: '-d, --deployment-id <id>', description: 'id of the deployment' },
    { flags: '-n, --node-id <name>', description: 'name or id of a server: all its deployments but jobs' },
  ],
  examples: [
    'deployments purge 3f1c2f9e-2f2a-4f43-9d7c-0a8f6b1c2d3e',
    'purge-deployment -d 3f1c2f9e-2f2a-4f43-9d7c-0a8f6b1c2d3e --yes',
    'purge-deployment -n gpu-0',
  ],
  run,
};
