// Servers and their GPUs: the inventory the operator gave and the verification found.

import { MinerError } from '../domain/errors.ts';
import type { Store } from '../domain/ports.ts';
import type { Gpu, Server } from '../domain/server.ts';
import type { Database } from './database.ts';
import { asc, eq, sql } from './drizzle.ts';
import { driverFault } from './failures.ts';
import { idsParameter, inIds, storableText, withoutNulls } from './rows.ts';
import { gpus, servers } from './schema.ts';

type ServerStore = Pick<Store, 'servers' | 'addServer' | 'updateServer' | 'markGpusVerified' | 'deleteServer'>;

const largestSeed = 2n ** 63n - 1n;

function checkSeed(name: string, seed: bigint | undefined): void {
  if (seed === undefined || (seed >= 0n && seed <= largestSeed)) return;
  throw new MinerError('E-STORE', `the seed of server "${name}" is not between 0 and 2^63-1`);
}

function gpuRows(serverId: string, list: readonly Gpu[]): (typeof gpus.$inferInsert)[] {
  return list.map((gpu, deviceIndex) => ({
    gpuId: gpu.gpuId,
    serverId,
    deviceIndex,
    model: gpu.model,
    verified: gpu.verified,
    deviceInfo: { ...gpu.deviceInfo, name: storableText(gpu.deviceInfo.name) },
  }));
}

/** A unique violation as the operator meets it; anything else as it is. */
function alreadyAdded(server: { name: string; serverId?: string }, error: unknown): unknown {
  const fault = driverFault(error);
  if (fault?.code !== '23505') return error;
  const message = {
    servers_name_key: `server "${server.name}" is already added`,
    servers_pkey: `node ${server.serverId} is already added, under another name than "${server.name}"`,
    gpus_pkey: `GPU ${/=\((.*?)\)/.exec(fault.detail ?? '')?.[1] ?? ''} of server "${server.name}" is already known`,
  }[fault.constraint ?? ''];
  return message ? new MinerError('E-ALREADY-ADDED', message) : error;
}

export function serverStore(db: Database): ServerStore {
  // One row per server, however many GPUs: JSON of them in the order of the device index.
  // Aliased by hand: drizzle leaves the table's name out of a column in a query of one table.
  const gpuList = sql<Gpu[]>`coalesce((
    select json_agg(json_build_object('gpuId', g.gpu_id, 'model', g.model_short_ref, 'verified', g.verified,
      'deviceInfo', g.device_info) order by g.device_index)
    from ${gpus} g where g.server_id = ${servers}.server_id), '[]')`;
  const read = db
    .select({
      serverId: servers.serverId,
      name: servers.name,
      validator: servers.validator,
      ip: servers.ip,
      agentApi: servers.agentApi,
      gpuShortRef: servers.gpuShortRef,
      gpus: gpuList,
      cpuPerGpu: servers.cpuPerGpu,
      memoryPerGpu: servers.memoryPerGpu,
      diskGb: servers.diskGb,
      hourlyCost: servers.hourlyCost,
      locked: servers.locked,
      tee: servers.tee,
      cordoned: servers.cordoned,
      seed: servers.seed,
      verificationPort: servers.verificationPort,
      createdAt: servers.createdAt,
    })
    .from(servers)
    .orderBy(asc(servers.name))
    .prepare('servers');
  const verify = db.update(gpus).set({ verified: true }).where(inIds(gpus.gpuId)).prepare('verify_gpus');

  async function all(): Promise<Server[]> {
    return (await read.execute()).map((row) => {
      const { cordoned, ...server } = withoutNulls(row);
      return cordoned === undefined ? server : { ...server, cordoned };
    });
  }

  async function addServer({ gpus: list, ...server }: Server): Promise<void> {
    checkSeed(server.name, server.seed);
    try {
      await db.transaction(async (tx) => {
        await tx.insert(servers).values(server);
        if (list.length > 0) await tx.insert(gpus).values(gpuRows(server.serverId, list));
      });
    } catch (error) {
      throw alreadyAdded(server, error);
    }
  }

  /** Undefined fields stay as they are, null empties; `gpus` replaces the whole list. */
  async function updateServer(name: string, change: Parameters<Store['updateServer']>[1]): Promise<void> {
    checkSeed(name, change.seed);
    const { gpus: list, ...columns } = change;
    try {
      await db.transaction(async (tx) => {
        // Sets the name too, so that there is always a column to set and the row is locked.
        const rows = await tx
          .update(servers)
          .set({ ...columns, name })
          .where(eq(servers.name, name))
          .returning({
            serverId: servers.serverId,
          });
        const serverId = rows[0]?.serverId;
        if (serverId === undefined) throw new MinerError('E-STORE', `server "${name}" is not in the store`);
        if (!list) return;
        await tx.delete(gpus).where(eq(gpus.serverId, serverId));
        if (list.length > 0) await tx.insert(gpus).values(gpuRows(serverId, list));
      });
    } catch (error) {
      throw alreadyAdded({ name }, error);
    }
  }

  async function markGpusVerified(gpuIds: readonly string[]): Promise<void> {
    if (gpuIds.length > 0) await verify.execute({ ids: idsParameter(gpuIds) });
  }

  async function deleteServer(name: string): Promise<void> {
    await db.delete(servers).where(eq(servers.name, name));
  }

  return { servers: all, addServer, updateServer, markGpusVerified, deleteServer };
}
