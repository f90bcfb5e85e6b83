// Which GPU a miner may advertise: the record's shape, the specification check against the GPU table, and the host rule
// (protocol.md 6.3, graval.md 2.1).

import { BlockList, isIP } from 'node:net';
import { modelOfDevice } from '@miner/controller/domain/gputable.ts';
import { isGpuId } from '@miner/controller/domain/ids.ts';
import { z } from 'zod';

export const nodeArgs = z.object({
  uuid: z.string().refine(isGpuId, 'must be 32 hex digits'),
  name: z.string().min(1).max(64),
  memory: z.int().positive(),
  major: z.int().optional(),
  minor: z.int().optional(),
  processors: z.int().positive(),
  sxm: z.boolean().optional(),
  clock_rate: z.number().positive(),
  max_threads_per_processor: z.int().positive(),
  concurrent_kernels: z.boolean().optional(),
  ecc: z.boolean().optional(),
  device_index: z.int().min(0).max(9),
  gpu_identifier: z.string(),
  verification_host: z.string().min(1),
  verification_port: z.int().min(80).max(65535),
});
/** One GPU as advertised with `POST /nodes/`; `memory` in bytes, `clock_rate` in kHz. */
export type NodeArgs = z.infer<typeof nodeArgs>;

/** Why the record cannot be that GPU; undefined when it passes. */
export function specError(node: NodeArgs): string | undefined {
  const model = modelOfDevice(node.name);
  if (!model) return `no supported GPU is called "${node.name}"`;
  if (model.ref !== node.gpu_identifier) return `"${node.name}" is ${model.ref}, not ${node.gpu_identifier}`;
  const gb = Math.floor(node.memory / 1e9);
  if (gb < model.vramGb - 1 || gb > model.vramGb * 1.024 ** 3 + 1) return `${gb} GB of memory is not ${model.ref}`;
  if (node.processors !== model.processors)
    return `${node.processors} processors, ${model.ref} has ${model.processors}`;
  const mhz = node.clock_rate / 1000;
  if (mhz < model.clockBase || mhz > model.clockBoost * 1.1) return `${mhz} MHz is not a clock rate of ${model.ref}`;
  return undefined;
}

const notPublic = new BlockList();
const ranges: [string, number, 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 127, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];
for (const [network, prefix, family] of ranges) notPublic.addSubnet(network, prefix, family);

const dnsName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$/i;

/** Why the host is refused: it must be a public IP address or a DNS name. `allowPrivate` admits any IP address. */
export function hostError(host: string, allowPrivate: boolean): string | undefined {
  const family = isIP(host);
  if (family === 0) return dnsName.test(host) ? undefined : `"${host}" is neither an IP address nor a DNS name`;
  if (allowPrivate || !notPublic.check(host, family === 6 ? 'ipv6' : 'ipv4')) return undefined;
  return `${host} is not a public address`;
}
