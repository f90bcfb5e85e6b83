// Watches that the GPUs of a server stay those that were verified: a node that shows anything else is cordoned before the next decision is
// made, and stays so until it was verified again.

import type { Logger } from 'pino';
import { gpuTable, modelOfDevice } from '../domain/gputable.ts';
import type { MemberNode, Members, Store } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';

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
  // The label is the device name with dashes for blanks; one that the table does not know says nothing.
  const model = modelOfDevice((node.labels['nvidia.com/gpu.product'] ?? '').replaceAll('-', ' '))?.ref;
  const expected = gpuTable.some(({ ref }) => ref === gpuShortRef);
  if (expected && model !== undefined && model !== gpuShortRef && !sameLabel(model, gpuShortRef))
    return `label nvidia.com/gpu.product is ${node.labels['nvidia.com/gpu.product']}, ${gpuShortRef} was verified`;
  return undefined;
}
