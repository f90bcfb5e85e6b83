// What the validator knows of this miner (protocol.md 6.1, 6.2). Validators of the older generation have no list of servers: it is put
// together from their GPUs.

import { z } from 'zod';
import type { Context } from './command.ts';
import { CliError } from './errors.ts';
import type { Remote } from './http.ts';
import { parseJson } from './json.ts';
import { byName } from './output/format.ts';
import {
  type RemoteGpu,
  type RemoteNode,
  type RemoteServer,
  readAnswer,
  remoteGpuShape,
  remoteNodeShape,
  remoteServersShape,
} from './shapes.ts';
import { eventsOf } from './stream.ts';

const signed = { purpose: 'miner' };

/** Own GPUs from the feed. An empty feed is no answer (protocol.md 6.1): undefined. */
export async function readRemoteNodes(validator: Remote): Promise<RemoteNode[] | undefined> {
  const response = await validator.send('GET', '/miner/nodes/', signed);
  const nodes: RemoteNode[] = [];
  for await (const data of eventsOf(response)) {
    if (data === 'NO_ITEMS') return [];
    nodes.push(readAnswer(remoteNodeShape, parseJson(data), 'a GPU of the validator'));
  }
  return nodes.length > 0 ? nodes : undefined;
}

export async function readRemoteGpus(validator: Remote): Promise<RemoteGpu[]> {
  const answer = await validator.json('GET', '/miner/inventory', signed);
  return readAnswer(z.array(remoteGpuShape), answer, 'the inventory of the validator');
}

function serversFrom(nodes: readonly RemoteNode[]): RemoteServer[] {
  const servers = new Map<string, RemoteServer>();
  for (const node of nodes) {
    const id = node.server_id ?? 'unknown';
    const server = servers.get(id) ?? { server_id: id, gpus: [] };
    server.gpus.push(node);
    servers.set(id, server);
  }
  return [...servers.values()];
}

/** Sorted by name; `nodes` is asked only when the validator has no list of servers. */
export async function readRemoteServers(
  validator: Remote,
  nodes = () => readRemoteNodes(validator),
): Promise<RemoteServer[]> {
  let servers: RemoteServer[];
  try {
    const answer = await validator.json('GET', '/miner/servers/', signed);
    ({ servers } = readAnswer(remoteServersShape, answer, 'the servers of the validator'));
  } catch (error) {
    if (!(error instanceof CliError) || error.status !== 404) throw error;
    servers = serversFrom((await nodes()) ?? []);
  }
  return servers.sort(
    (a, b) => byName(a.name ?? a.server_id, b.name ?? b.server_id) || byName(a.server_id, b.server_id),
  );
}

/** Name or id, as the validator's routes take it. */
export function remoteName({ name, server_id }: RemoteServer): string {
  return name ?? server_id;
}

export async function forgetRemote(context: Context, name: string): Promise<void> {
  const validator = await context.validator();
  await validator.json('DELETE', `/servers/${encodeURIComponent(name)}`, { purpose: 'tee' });
}
