// `deployments list`: one line for each deployment.

import { type CommandModule, type Context, nameOption, text } from '../command.ts';
import { chuteName, deploymentsOf, type PlacedDeployment, selectServers, stateOf } from '../inventory.ts';
import { duration, time } from '../output/format.ts';
import type { Column } from '../output/output.ts';

function columns(now: number): Column<PlacedDeployment>[] {
  return [
    { head: 'CHUTE', cell: ({ deployment }) => chuteName(deployment) },
    { head: 'SERVER', cell: ({ server }) => server.name },
    { head: 'GPUS', cell: ({ deployment }) => String(deployment.gpus.length) },
    {
      head: 'STATE',
      cell({ deployment }) {
        const state = stateOf(deployment);
        return { text: state, style: state === 'Active' ? 'green' : 'yellow' };
      },
    },
    {
      head: 'AGE',
      cell: ({ deployment: { created_at } }) => (created_at ? duration(now - Date.parse(created_at)) : '-'),
    },
    { head: 'DEPLOYMENT', cell: ({ deployment }) => deployment.deployment_id },
    { head: 'INSTANCE', cell: ({ deployment }) => deployment.instance_id ?? '-', wide: true },
    { head: 'CHUTE ID', cell: ({ deployment }) => deployment.chute_id, wide: true },
    { head: 'VERSION', cell: ({ deployment }) => deployment.version ?? '-', wide: true },
    { head: 'PORT', cell: ({ deployment }) => String(deployment.port ?? '-'), wide: true },
    { head: 'JOB', cell: ({ deployment }) => deployment.job_id ?? '-', wide: true },
    { head: 'ACTIVE SINCE', cell: ({ deployment }) => time(deployment.activated_at), wide: true },
  ];
}

async function run(context: Context): Promise<undefined> {
  const placed = deploymentsOf(await selectServers(context, text(context.values, 'name')));
  await context.out.showList(placed, columns(context.io.now()), {
    name: ({ deployment }) => deployment.deployment_id,
    value: placed.map(({ deployment, server }) => ({ ...deployment, server_name: server.name })),
    none: 'no deployments',
  });
}

export const command: CommandModule = {
  options: [{ ...nameOption, description: 'only those of this server (name or id)' }],
  examples: ['deployments list', 'deployments list -n gpu-0 -o wide'],
  run,
};
