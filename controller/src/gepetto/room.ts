// What is free. A GPU or node port is taken while the desired state, a pod or an unfinished lifecycle row holds it, so that nothing is
// given out twice while an old pod drains (design 3.5, gepetto.md W1). Only members with a healthy watch have anything free.

import type { MemberHealth } from '../domain/deployment.ts';
import { allocateNodePorts } from '../domain/nodeport.ts';
import type { Server } from '../domain/server.ts';
import { type Fleet, fleetOf, type Occupancy } from './fleet.ts';
import type { World } from './world.ts';

const diskReserveGb = 20;

export interface Room {
  server: Server;
  /** Free GPU ids by model, sorted. All GPUs of a server are usually one model. */
  freeGpus: Map<string, string[]>;
  /** The room's own set. Worked out when first asked for: few servers get anything in a plan. */
  takenPorts(): Set<number>;
  freeDiskGb: number;
}

/** Whether a server can start anything: its cluster is heard of, and its node takes pods. */
export function isOpen(health: MemberHealth | undefined): boolean {
  return health?.state === 'healthy' && health.closed === undefined;
}

/**
 * Room by server name; servers that may not take anything (locked, not healthy, node cordoned) are left out. So is one without a file on `main`: it is
 * still being added, and the GPU verification holds its GPUs.
 */
export function roomOf(
  world: World,
  fleet: Fleet = fleetOf(world),
  isWanted: (here: Occupancy, server: Server) => boolean = () => true,
): Map<string, Room> {
  const rooms = new Map<string, Room>();
  for (const here of fleet.values()) {
    const { name, server } = here;
    if (!server || server.locked || !world.configuredServers.has(name)) continue;
    if (!isOpen(world.health.get(name))) continue;
    if (!isWanted(here, server)) continue;
    let ports: Set<number> | undefined;
    const { gpus, diskGb } = heldOf(here, server);
    const freeGpus = new Map<string, string[]>();
    for (const [model, ids] of gpus) freeGpus.set(model, [...ids]);
    rooms.set(name, {
      server,
      freeGpus,
      takenPorts() {
        ports ??= takenPortsOf(here, server);
        return ports;
      },
      freeDiskGb: Math.max(0, server.diskGb - diskReserveGb - diskGb),
    });
  }
  return rooms;
}

interface Holder {
  gpuIds: readonly string[];
  nodePorts: readonly number[];
}

/** What holds GPUs and ports beside the desired state: pods, and rows until their last pod is gone. */
function holdersOf({ occupants, strays }: Occupancy): Holder[] {
  const holders: Holder[] = [];
  for (const { row, pods } of occupants) {
    if (row && row.goneAt === undefined) holders.push(row);
    for (const pod of pods) holders.push(pod);
  }
  for (const stray of strays) if (!('goneAt' in stray) || stray.goneAt === undefined) holders.push(stray);
  return holders;
}

/** What a server has free of GPUs, and holds of disk. Kept with it from plan to plan. */
interface Held {
  gpus: ReadonlyMap<string, readonly string[]>;
  diskGb: number;
}

const held = new WeakMap<Occupancy, Held>();

function heldOf(here: Occupancy, server: Server): Held {
  let known = held.get(here);
  if (!known) {
    known = { gpus: countFreeGpus(here, server), diskGb: heldDiskGb(here) };
    held.set(here, known);
  }
  return known;
}

function countFreeGpus(here: Occupancy, server: Server): Map<string, string[]> {
  const held = new Set<string>();
  for (const { spec } of here.occupants) for (const gpuId of spec?.gpuIds ?? []) held.add(gpuId);
  for (const { gpuIds } of holdersOf(here)) for (const gpuId of gpuIds) held.add(gpuId);
  const free = new Map<string, string[]>();
  for (const { gpuId, model, verified } of server.gpus) {
    if (!verified || held.has(gpuId)) continue;
    const sameModel = free.get(model);
    if (sameModel) sameModel.push(gpuId);
    else free.set(model, [gpuId]);
  }
  for (const ids of free.values()) ids.sort();
  return free;
}

function takenPortsOf(here: Occupancy, { verificationPort }: Server): Set<number> {
  const taken = new Set<number>();
  if (verificationPort) taken.add(verificationPort);
  for (const { spec } of here.occupants) for (const { nodePort } of spec?.ports ?? []) taken.add(nodePort);
  for (const { nodePorts } of holdersOf(here)) for (const port of nodePorts) taken.add(port);
  return taken;
}

function heldDiskGb({ occupants }: Occupancy): number {
  return occupants.reduce((sum, { spec }) => sum + (spec?.diskGb ?? 0), 0);
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
  const takenPorts = room.takenPorts();
  const nodePorts = allocateNodePorts(takenPorts, portCount);
  if (!nodePorts) return undefined;
  for (const port of nodePorts) takenPorts.add(port);
  room.freeDiskGb -= diskGb;
  return { gpuIds: free.splice(0, gpuCount), nodePorts };
}
