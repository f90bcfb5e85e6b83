// What the node of a server says of itself, before its GPUs are asked: address, number of GPUs, sizes.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import type { MemberNode } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import { demandRam, sizeServer } from '../domain/sizing.ts';

/** Most GPUs the validator takes for one server. */
const maxGpus = 10;

function gpuCountOf(node: MemberNode): number {
  const label = node.labels['nvidia.com/gpu.count'];
  if (label !== String(node.gpus)) {
    throw new MinerError(
      'E-NODE',
      `label nvidia.com/gpu.count is ${label ?? 'missing'}, the node's capacity is ${node.gpus}`,
    );
  }
  if (node.gpus < 1 || node.gpus > maxGpus) {
    throw new MinerError('E-NODE', `node ${node.name} has ${node.gpus} GPUs; a server has 1 to ${maxGpus}`);
  }
  return node.gpus;
}

/** The row of the server, still without GPUs. Throws E-NODE. */
export function describeServer(node: MemberNode, request: ServerConfig, createdAt: number): Omit<Server, 'seed'> {
  const { name, validator, agentApi, gpuShortRef, hourlyCost, locked } = request;
  if (!node.ready) throw new MinerError('E-NODE', `node ${name} is not Ready`);
  const ip = node.labels['chutes/external-ip'];
  if (!ip) throw new MinerError('E-NODE', `node ${name} has no label chutes/external-ip`);
  const gpus = gpuCountOf(node);
  const gpuMemoryMiB = Number(node.labels['nvidia.com/gpu.memory'] ?? 0);
  const capacity = { cpus: node.cpus, memoryGiB: node.memoryGiB, gpus, gpuMemoryMiB };
  const sizing = sizeServer(capacity);
  demandRam(capacity);
  return {
    serverId: node.uid,
    name,
    validator,
    ip,
    agentApi,
    gpuShortRef,
    gpus: [],
    ...sizing,
    diskGb: node.diskGb,
    hourlyCost,
    locked,
    tee: node.labels['chutes/tee'] === 'true',
    verificationPort: undefined,
    createdAt,
  };
}
