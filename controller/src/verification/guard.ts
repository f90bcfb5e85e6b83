// Watches that the GPUs of a server stay those that were verified: a node that shows anything else is cordoned before the next decision is
// made, and stays so until it was verified again.

import type { Logger } from 'pino';
import type { MemberNode, Members, Store } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import { productProblem } from './devices.ts';

/** Between the VRAM that was verified and that of GPU feature discovery. */
const memoryTolerance = 0.05;

/** What of the node contradicts what was verified, one sentence; undefined when nothing does. */
export function changeOf({ serverId, gpus, gpuShortRef }: Server, node: MemberNode): string | undefined {
  if (node.uid !== serverId) return 'the node was set up anew';
  if (node.gpus !== gpus.length) return `the node has ${node.gpus} GPUs, ${gpus.length} were verified`;
  const count = node.labels['nvidia.com/gpu.count'];
  if (count !== undefined && count !== String(gpus.length))
    return `label nvidia.com/gpu.count is ${count}, ${gpus.length} GPUs were verified`;
  const memory = Number(node.labels['nvidia.com/gpu.memory'] ?? Number.NaN);
  const known = (gpus[0]?.deviceInfo.memory ?? 0) / 1024 ** 2;
  if (known > 0 && Math.abs(memory - known) > known * memoryTolerance)
    return `label nvidia.com/gpu.memory is ${memory}, ${Math.round(known)} MiB were verified`;
  const product = productProblem(node, gpuShortRef);
  if (product) return `${product}, ${gpuShortRef} was verified`;
  return undefined;
}

export interface GuardDeps {
  members: Pick<Members, 'nodes'>;
  store: Pick<Store, 'servers' | 'updateServer'>;
  /** A server that is being added or verified again is judged by that. */
  busy(name: string): boolean;
  log: Pick<Logger, 'warn'>;
}

export interface Guard {
  /** Cordon what changed. Reads the store only when a node differs from what it was at the last look. */
  look(): Promise<void>;
}

export function createGuard({ members, store, busy, log }: GuardDeps): Guard {
  const judged = new Map<string, MemberNode>();

  async function judge(servers: readonly Server[], name: string, node: MemberNode): Promise<void> {
    const server = servers.find((one) => one.name === name);
    if (!server || busy(name)) return;
    const change = changeOf(server, node);
    if (change !== undefined && server.cordoned === undefined) {
      await store.updateServer(name, { cordoned: change });
      log.warn({ server: name, change }, 'GPUs changed: cordoned until they are verified again');
    }
    judged.set(name, node);
  }

  async function look(): Promise<void> {
    const fresh = [...members.nodes()].filter(([name, node]) => judged.get(name) !== node);
    if (fresh.length === 0) return;
    const servers = await store.servers();
    for (const [name, node] of fresh) await judge(servers, name, node);
  }

  return { look };
}
