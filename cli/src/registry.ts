// The table of all commands. Their files load only when they are asked for, so that the program starts fast.

import type { CommandModule } from './command.ts';

export interface Entry {
  /** Words after the program's name. */
  path: readonly string[];
  /** The name upstream has for it. */
  alias?: string;
  summary: string;
  /** Heading in `--help`. */
  group: string;
  load(): Promise<{ command: CommandModule }>;
}

export const groups: Readonly<Record<string, string>> = {
  node: 'Add, delete, lock and list GPU servers',
  deployments: 'List, show and remove deployments',
  inventory: 'Compare what the miner and the validator know',
  images: 'Pin the images that the miner runs, and see which have moved',
  kubeconfig: 'Fetch access to the clusters',
  strategy: 'Run the planner for another program',
  hotkey: 'Show the miner hotkey',
  tee: 'Trusted nodes (not supported on GraVal nodes)',
};

const look = 'See what is going on:';
const servers = 'Servers and deployments:';
const other = 'Other:';

export const entries: readonly Entry[] = [
  {
    path: ['status'],
    summary: 'Show servers, deployments, cost and what waits for a person',
    group: look,
    load: () => import('./commands/status.ts'),
  },
  {
    path: ['why'],
    summary: 'Explain the decisions about a deployment, chute or server',
    group: look,
    load: () => import('./commands/why.ts'),
  },
  {
    path: ['plan'],
    summary: 'Show what would be decided, now or for a saved world, without doing it',
    group: look,
    load: () => import('./commands/plan.ts'),
  },
  {
    path: ['simulate'],
    summary: 'Score a strategy on a recorded market, beside the rules of the upstream miner',
    group: look,
    load: () => import('./commands/simulate.ts'),
  },
  {
    path: ['doctor'],
    summary: 'Check hotkey, clocks, miner API, validator, agents and repository',
    group: look,
    load: () => import('./commands/doctor.ts'),
  },
  {
    path: ['gpu-check'],
    summary: 'Check the GPU server this runs on: GPUs, memory, speed, driver, container runtime',
    group: look,
    load: () => import('./commands/gpu-check.ts'),
  },
  {
    path: ['node', 'add'],
    alias: 'add-node',
    summary: 'Add a GPU server: verify its GPUs and take it into the inventory',
    group: servers,
    load: () => import('./commands/node-add.ts'),
  },
  {
    path: ['node', 'delete'],
    alias: 'delete-node',
    summary: 'Delete a server and all its deployments',
    group: servers,
    load: () => import('./commands/node-delete.ts'),
  },
  {
    path: ['node', 'lock'],
    alias: 'lock',
    summary: 'Place no new chutes on a server',
    group: servers,
    load: () => import('./commands/node-lock.ts'),
  },
  {
    path: ['node', 'unlock'],
    alias: 'unlock',
    summary: 'Place chutes on a server again',
    group: servers,
    load: () => import('./commands/node-unlock.ts'),
  },
  {
    path: ['node', 'list'],
    summary: 'List the servers',
    group: servers,
    load: () => import('./commands/node-list.ts'),
  },
  {
    path: ['node', 'show'],
    summary: 'Show one server with its GPUs and deployments',
    group: servers,
    load: () => import('./commands/node-show.ts'),
  },
  {
    path: ['deployments', 'list'],
    summary: 'List the deployments',
    group: servers,
    load: () => import('./commands/deployments-list.ts'),
  },
  {
    path: ['deployments', 'show'],
    summary: 'Show one deployment',
    group: servers,
    load: () => import('./commands/deployments-show.ts'),
  },
  {
    path: ['deployments', 'purge'],
    alias: 'purge-deployment',
    summary: 'Remove one deployment, or those of one server',
    group: servers,
    load: () => import('./commands/deployments-purge.ts'),
  },
  {
    path: ['deployments', 'purge-all'],
    alias: 'purge-deployments',
    summary: 'Remove every deployment, jobs included',
    group: servers,
    load: () => import('./commands/deployments-purge-all.ts'),
  },
  {
    path: ['deployments', 'purge-node'],
    alias: 'purge-server',
    summary: 'Remove the deployments of one server, jobs excluded',
    group: servers,
    load: () => import('./commands/deployments-purge-node.ts'),
  },
  {
    path: ['inventory', 'local'],
    alias: 'local-inventory',
    summary: 'Show what the miner knows, server by server',
    group: servers,
    load: () => import('./commands/inventory-local.ts'),
  },
  {
    path: ['inventory', 'remote'],
    alias: 'remote-inventory',
    summary: 'Show what the validator knows, server by server',
    group: servers,
    load: () => import('./commands/inventory-remote.ts'),
  },
  {
    path: ['inventory', 'diff'],
    summary: 'Compare the two; exit 3 when they differ',
    group: servers,
    load: () => import('./commands/inventory-diff.ts'),
  },
  {
    path: ['inventory', 'scorch-remote'],
    alias: 'scorch-remote',
    summary: 'Have the validator forget every server',
    group: servers,
    load: () => import('./commands/inventory-scorch-remote.ts'),
  },
  {
    path: ['inventory', 'delete-remote'],
    alias: 'delete-remote',
    summary: 'Have the validator forget one server',
    group: servers,
    load: () => import('./commands/inventory-delete-remote.ts'),
  },
  {
    path: ['kubeconfig', 'sync'],
    alias: 'sync-kubeconfig',
    summary: 'Merge access to all clusters into a kubeconfig file',
    group: other,
    load: () => import('./commands/kubeconfig-sync.ts'),
  },
  {
    path: ['kubeconfig', 'sync-node'],
    alias: 'sync-node-kubeconfig',
    summary: 'Merge access to one GPU server, straight from its agent',
    group: other,
    load: () => import('./commands/kubeconfig-sync-node.ts'),
  },
  {
    path: ['images', 'list'],
    summary: 'List the images that the miner runs, and whether each is pinned by digest',
    group: other,
    load: () => import('./commands/images-list.ts'),
  },
  {
    path: ['images', 'pin'],
    summary: 'Ask the registries for digests and write them into images.yaml',
    group: other,
    load: () => import('./commands/images-pin.ts'),
  },
  {
    path: ['images', 'check'],
    summary: 'Check that every image is pinned and its tag unchanged; exit 3 when not',
    group: other,
    load: () => import('./commands/images-check.ts'),
  },
  {
    path: ['instance-logs'],
    summary: 'Follow the log of an instance',
    group: other,
    load: () => import('./commands/instance-logs.ts'),
  },
  {
    path: ['hotkey', 'show'],
    summary: 'Print the address of the hotkey',
    group: other,
    load: () => import('./commands/hotkey-show.ts'),
  },
  {
    path: ['strategy', 'serve'],
    summary: 'Answer snapshots on stdin with actions on stdout, one line each',
    group: other,
    load: () => import('./commands/strategy-serve.ts'),
  },
  {
    path: ['completion'],
    summary: 'Print the completion script of a shell',
    group: other,
    load: () => import('./commands/completion.ts'),
  },
  {
    path: ['version'],
    summary: 'Print the version',
    group: other,
    load: () => import('./commands/version.ts'),
  },
  ...teeEntries(),
];

/** Every name upstream has under `tee`, so that scripts meet a clear answer instead of an unknown command. */
function teeEntries(): Entry[] {
  const names = [
    'cache-download',
    'cache-download-status',
    'cache-overview',
    'cache-delete',
    'cache-cleanup',
    'cache-cancel',
    'cache-purge',
    'image-list',
    'image-delete',
    'image-prune',
    'node-health',
    'services',
    'gpu',
    'disk',
    'shutdown',
    'maintenance-status',
    'start-maintenance',
  ];
  return names.map((name) => ({
    path: ['tee', name],
    summary: 'Not supported on GraVal nodes',
    group: other,
    load: () => import('./commands/tee.ts'),
  }));
}
