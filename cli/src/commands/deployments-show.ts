// `deployments show`: one deployment, found by its id or the start of it.

import { type CommandModule, type Context, target } from '../command.ts';
import { notFoundError, usageError } from '../errors.ts';
import { chuteName, deploymentsOf, readServers, stateOf } from '../inventory.ts';
import { time } from '../output/format.ts';

async function run(context: Context): Promise<undefined> {
  const wanted = target(context, 'deployment-id');
  const all = deploymentsOf(await readServers(await context.miner()));
  const found = all.filter(({ deployment }) => deployment.deployment_id.startsWith(wanted));
  const [one] = found;
  if (!one)
    throw notFoundError(`no deployment has an id that starts with ${wanted}`, '`chutes-miner deployments list`');
  if (found.length > 1) throw usageError(`${found.length} deployments have an id that starts with ${wanted}`);
  const { deployment, server } = one;
  const { boxTable } = await import('../output/table.ts');
  await context.out.show({
    value: { ...deployment, server_name: server.name },
    names: [deployment.deployment_id],
    table: (look) =>
      boxTable(
        undefined,
        [
          ['Deployment', deployment.deployment_id],
          ['Chute', chuteName(deployment)],
          ['Chute ID', deployment.chute_id],
          ['Version', deployment.version ?? '-'],
          ['Server', server.name],
          ['State', stateOf(deployment)],
          ['Instance', deployment.instance_id ?? '-'],
          ['Job', deployment.job_id ?? '-'],
          ['Port', String(deployment.port ?? '-')],
          ['GPUs', deployment.gpus.map(({ gpu_id }) => gpu_id).join(' ')],
          ['Created', time(deployment.created_at)],
          ['Verified', time(deployment.verified_at)],
          ['Active since', time(deployment.activated_at)],
        ],
        look,
      ),
  });
}

export const command: CommandModule = {
  arguments: [{ name: '<deployment-id>', description: 'id of the deployment, or the start of it' }],
  examples: ['deployments show 3f1c', 'deployments show 3f1c -o json'],
  run,
};
