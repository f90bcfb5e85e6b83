// What a test node needs of the machine, told all at once instead of by the first thing that fails.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian packages, by a program that is in them. */
const packages: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  iptables: 'iptables',
  nft: 'nftables',
  busybox: 'busybox-static',
  ip: 'iproute2',
  nginx: 'nginx',
  'docker-registry': 'docker-registry',
  etcd: 'etcd-server',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
};

function isThere(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/** Throws with what to do about it. */
export function demandPrograms(): void {
  if (process.getuid?.() !== 0) throw new Error('a node of its own needs namespaces and mounts: run it as root');
  const missing = Object.entries(packages).flatMap(([program, name]) => (isThere(program) ? [] : [name]));
  if (missing.length > 0) throw new Error(`programs are missing; install them: apt-get install ${missing.join(' ')}`);
}
