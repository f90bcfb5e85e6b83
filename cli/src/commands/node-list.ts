// `node list`: one line for each server.

import type { CommandModule, Context } from '../command.ts';
import { readServers } from '../inventory.ts';
import { cost, duration, time } from '../output/format.ts';
import type { Column } from '../output/output.ts';
import type { ServerAnswer } from '../shapes.ts';

function used({ gpus }: ServerAnswer): number {
  return gpus.filter(({ deployment_id }) => deployment_id).length;
}

function age(createdAt: string | null | undefined, now: number): string {
  const at = Date.parse(createdAt ?? '');
  return Number.isNaN(at) ? '-' : duration(now - at);
}

function columns(now: number): Column<ServerAnswer>[] {
  return [
    { head: 'NAME', cell: ({ name }) => name },
    {
      head: 'STATUS',
      cell: ({ status }) => ({ text: status ?? '-', style: status === 'Ready' ? 'green' : 'yellow' }),
    },
    { head: 'LOCKED', cell: ({ locked }) => (locked ? 'yes' : 'no') },
    { head: 'GPU', cell: ({ labels, gpus }) => String(labels?.['gpu-short-ref'] ?? gpus[0]?.model_short_ref ?? '-') },
    { head: 'USED', cell: (server) => `${used(server)}/${server.gpus.length}` },
    { head: 'VERIFIED', cell: ({ gpus }) => `${gpus.filter(({ verified }) => verified).length}/${gpus.length}` },
    { head: 'COST/H', cell: ({ hourly_cost, gpus }) => cost((hourly_cost ?? 0) * gpus.length) },
    { head: 'IP', cell: ({ ip_address }) => ip_address ?? '-' },
    { head: 'AGE', cell: ({ created_at }) => age(created_at, now) },
    { head: 'CPU/GPU', cell: ({ cpu_per_gpu }) => String(cpu_per_gpu ?? '-'), wide: true },
    { head: 'GB/GPU', cell: ({ memory_per_gpu }) => String(memory_per_gpu ?? '-'), wide: true },
    { head: 'CREATED', cell: ({ created_at }) => time(created_at), wide: true },
    { head: 'AGENT', cell: ({ agent_api }) => agent_api ?? '-', wide: true },
    { head: 'SERVER ID', cell: ({ server_id }) => server_id, wide: true },
    { head: 'VALIDATOR', cell: ({ validator }) => validator ?? '-', wide: true },
  ];
}

async function run(context: Context): Promise<undefined> {
  const servers = await readServers(await context.miner());
  await context.out.showList(servers, columns(context.io.now()), {
    name: ({ name }) => name,
    none: 'no servers; `chutes-miner node add` adds one',
  });
}

export const command: CommandModule = {
  examples: ['node list', 'node list -o wide', 'node list -o name | xargs -n 1 chutes-miner node lock'],
  run,
};
