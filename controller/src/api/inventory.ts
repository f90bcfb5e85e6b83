// Servers and deployments at one moment, as the routes show them.

import { messageOf } from '../domain/errors.ts';
import type { Server } from '../domain/server.ts';
import type { ApiOptions } from './options.ts';
import { notFound } from './problem.ts';
import type { Inventory } from './shapes.ts';

type Parts = Pick<ApiOptions, 'store' | 'repo' | 'observe' | 'log'>;

/** Price and lock as people wrote them. A `main` that cannot be read hides nothing: the store's values are shown then. */
async function withConfig(servers: readonly Server[], { repo, log }: Parts): Promise<Server[]> {
  try {
    const { servers: configured } = await repo.readMain();
    return servers.map((server) => {
      const { hourlyCost, locked } = configured.get(server.name) ?? server;
      return { ...server, hourlyCost, locked };
    });
  } catch (error) {
    log.warn({ reason: messageOf(error) }, 'branch main cannot be read, the inventory is shown without it');
    return [...servers];
  }
}

export async function readInventory(parts: Parts): Promise<Inventory> {
  const { store, observe } = parts;
  const [known, rows, chutes] = await Promise.all([store.servers(), store.lifecycles(), store.chutes()]);
  const servers = await withConfig(known, parts);
  const held = rows.filter((row) => row.goneAt === undefined);
  const deployments = held.filter((row) => row.removedAt === undefined);
  return {
    // Names are ASCII: no collation is needed, and a collator is slow.
    servers: servers.sort((a, b) => (a.name < b.name ? -1 : 1)),
    byName: new Map(servers.map((server) => [server.name, server])),
    deployments,
    onServer: Map.groupBy(deployments, (row) => row.server),
    chutes: new Map(chutes.map((chute) => [chute.chuteId, chute])),
    health: observe?.().health ?? new Map(),
    holders: new Map(held.flatMap((row) => row.gpuIds.map((gpuId) => [gpuId, row.deploymentId] as const))),
  };
}

/** The server with this name or id; throws 404. */
export function findServer({ servers, byName }: Inventory, nameOrId: string): Server {
  const server = byName.get(nameOrId) ?? servers.find(({ serverId }) => serverId === nameOrId);
  if (!server) throw notFound(`no server with name or id ${nameOrId}`);
  return server;
}

/** Write the lock where people write it, and where it is shown from. */
export async function setLocked(
  name: string,
  locked: boolean,
  { repo, store }: Pick<Parts, 'repo' | 'store'>,
): Promise<void> {
  const config = (await repo.readMain()).servers.get(name);
  if (config) await repo.writeServer({ ...config, locked });
  await store.updateServer(name, { locked });
}
