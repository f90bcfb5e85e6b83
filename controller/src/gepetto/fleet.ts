// What is free. A GPU or node port is taken while the desired state, a pod or an unfinished lifecycle row holds it, so that nothing is
// given out twice while an old pod drains (design 3.5, gepetto.md W1). Only members with a healthy watch have anything free.

import { allocateNodePorts } from '../domain/nodeport.ts';
import type { Server } from '../domain/server.ts';
import type { World } from './world.ts';

const diskReserveGb = 20;

export interface Room {
  server: Server;
  /** Free GPU ids by model, sorted. All GPUs of a server are usually one model. */
  freeGpus: Map<string, string[]>;
  takenPorts: Set<number>;
  freeDiskGb: number;
}

/**
 * Room by server name; servers that may not take anything (locked, not healthy) are left out. So is one without a file on `main`: it is
 * still being added, and the GPU verification holds its GPUs.
 */
export function roomOf(world: World): Map<string, Room> {
  const taken = takenOf(world);
  const rooms = new Map<string, Room>();
  for (const server of world.servers) {
    if (server.locked || !world.configuredServers.has(server.name)) continue;
    if (world.health.get(server.name)?.state !== 'healthy') continue;
    const held = taken.get(server.name) ?? { gpus: new Set(), ports: new Set<number>(), diskGb: 0 };
    const freeGpus = new Map<string, string[]>();
    for (const gpu of server.gpus) {
      if (!gpu.verified || held.gpus.has(gpu.gpuId)) continue;
      const sameModel = freeGpus.get(gpu.model);
      if (sameModel) sameModel.push(gpu.gpuId);
      else freeGpus.set(gpu.model, [gpu.gpuId]);
    }
    for (const ids of freeGpus.values()) ids.sort();
    rooms.set(server.name, {
      server,
      freeGpus,
      takenPorts: held.ports,
      freeDiskGb: Math.max(0, server.diskGb - diskReserveGb - held.diskGb),
    });
  }
  return rooms;
}

interface Taken {
  gpus: Set<string>;
  ports: Set<number>;
  diskGb: number;
}

function takenOf(world: World): Map<string, Taken> {
  const byServer = new Map<string, Taken>();
  function of(server: string): Taken {
    let taken = byServer.get(server);
    if (!taken) {
      taken = { gpus: new Set(), ports: new Set(), diskGb: 0 };
      byServer.set(server, taken);
    }
    return taken;
  }
  function hold(server: string, gpuIds: readonly string[], ports: readonly number[]): void {
    const taken = of(server);
    for (const gpuId of gpuIds) taken.gpus.add(gpuId);
    for (const port of ports) taken.ports.add(port);
  }
  for (const server of world.servers) if (server.verificationPort) of(server.name).ports.add(server.verificationPort);
  for (const spec of world.desired.values()) {
    hold(
      spec.server,
      spec.gpuIds,
      spec.ports.map((mapping) => mapping.nodePort),
    );
    of(spec.server).diskGb += spec.diskGb;
  }
  for (const row of world.lifecycles.values())
    if (row.goneAt === undefined) hold(row.server, row.gpuIds, row.nodePorts);
  for (const pod of world.pods) hold(pod.server, pod.gpuIds, pod.nodePorts);
  return byServer;
}

/** Take GPUs, ports and disk out of a room; undefined (and nothing taken) when they do not fit. */
export function reserve(
  room: Room,
  model: string,
  gpuCount: number,
  portCount: number,
  diskGb: number,
): { gpuIds: string[]; nodePorts: number[] } | undefined {
  const free = room.freeGpus.get(model);
  if (!free || free.length < gpuCount || room.freeDiskGb < diskGb) return undefined;
  const nodePorts = allocateNodePorts(room.takenPorts, portCount);
  if (!nodePorts) return undefined;
  for (const port of nodePorts) room.takenPorts.add(port);
  room.freeDiskGb -= diskGb;
  return { gpuIds: free.splice(0, gpuCount), nodePorts };
}
