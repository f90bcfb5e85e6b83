// Which callers are local. Upstream counts every private address (protocol.md 5); beside nginx in one pod, loopback is enough.

import { BlockList, isIP } from 'node:net';

export type Callers = 'loopback' | 'private';

const loopback: [string, number][] = [
  ['127.0.0.0', 8],
  ['::1', 128],
];
const privateNetworks: [string, number][] = [
  ...loopback,
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['fc00::', 7],
  ['fe80::', 10],
];

function listOf(networks: readonly [string, number][]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of networks) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

const lists: Record<Callers, BlockList> = { loopback: listOf(loopback), private: listOf(privateNetworks) };

/** False for an address that is missing or is none. IPv4 addresses in IPv6 form count as IPv4. */
export function isLocal(address: string | undefined, callers: Callers): boolean {
  const bare = (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const family = isIP(bare);
  return family !== 0 && lists[callers].check(bare, family === 6 ? 'ipv6' : 'ipv4');
}
