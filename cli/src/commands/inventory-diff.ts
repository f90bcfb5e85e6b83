// `inventory diff`: exit 3 when the miner and the validator tell different stories.

import type { CommandModule, Context } from '../command.ts';
import { differences } from '../differences.ts';
import { exitCodes } from '../errors.ts';
import { readServers } from '../inventory.ts';
import { readRemoteGpus, readRemoteNodes, readRemoteServers } from '../remote-inventory.ts';
import type { RemoteNode } from '../shapes.ts';

async function run(context: Context): Promise<number | undefined> {
  const [miner, validator] = [await context.miner(), await context.validator()];
  let reading: Promise<RemoteNode[] | undefined> | undefined;
  function nodes(): Promise<RemoteNode[] | undefined> {
    reading ??= readRemoteNodes(validator);
    return reading;
  }
  const [local, servers, gpus, feed] = await Promise.all([
    readServers(miner),
    readRemoteServers(validator, nodes),
    readRemoteGpus(validator),
    nodes(),
  ]);
  const found = differences(local, { servers, gpus, nodes: feed });
  await context.out.showList(
    found,
    [
      { head: 'KIND', cell: ({ kind }) => kind },
      { head: 'SERVER', cell: ({ server }) => server },
      { head: 'ID', cell: ({ id }) => id },
      { head: 'MINER', cell: ({ miner: text }) => text },
      { head: 'VALIDATOR', cell: ({ validator: text }) => text },
      { head: 'WHAT TO DO', cell: ({ hint }) => hint },
    ],
    {
      name: ({ kind, id }) => `${kind}/${id}`,
      value: { different: found.length > 0, differences: found },
      none: `no difference: ${local.length} server(s), ${gpus.length} GPU(s)`,
    },
  );
  return found.length > 0 ? exitCodes.different : undefined;
}

export const command: CommandModule = {
  examples: ['inventory diff', 'inventory diff -o json | jq .differences', 'inventory diff -q || echo they differ'],
  run,
};
