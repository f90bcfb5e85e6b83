// Node ports are ours to give out: they are written into the Service and the pod in the same commit (kubernetes.md R12).

import type { Chute, ChutePort } from './chute.ts';
import type { PortMapping } from './deployment.ts';
import { hasAttestationPort } from './version.ts';

export const nodePortRange = { first: 30000, last: 32767 } as const;

/** Where the miner's own parts may be moved to; agent, miner API and upstream's monitor are there from the start. */
const ownNodePorts = { first: 32000, last: 32099 } as const;

/**
 * Never given to a chute: Grafana, member Prometheus, TEE attestation, registry proxy (kubernetes.md 0.3), and the band of the miner's own
 * parts. Wherever one of these is moved to, it is a port of this set, so what gives ports out need not know the configuration.
 */
export const reservedNodePorts: ReadonlySet<number> = new Set([
  ...[30080, 30090, 30443, 30500],
  ...Array.from({ length: ownNodePorts.last - ownNodePorts.first + 1 }, (_, i) => ownNodePorts.first + i),
]);

export const reservedNodePortsText = `30080, 30090, 30443, 30500 and ${ownNodePorts.first}-${ownNodePorts.last}`;

export function isAllocatableNodePort(port: number): boolean {
  return (
    Number.isInteger(port) && port >= nodePortRange.first && port <= nodePortRange.last && !reservedNodePorts.has(port)
  );
}

/** The `count` lowest allocatable ports not in `taken`; undefined when the server has run out of them. */
export function allocateNodePorts(taken: ReadonlySet<number>, count: number): number[] | undefined {
  const ports: number[] = [];
  for (let port = nodePortRange.first; port <= nodePortRange.last && ports.length < count; port++) {
    if (!taken.has(port) && isAllocatableNodePort(port)) ports.push(port);
  }
  return ports.length === count ? ports : undefined;
}

/**
 * What a pod of the chute listens on: 8000 and 8001, 8002 for attestation, and for a rental the ports that its jobs declare, each once
 * (gepetto.md 6, kubernetes.md R10). Each gets the node port at the same place of a deployment's list.
 */
export function podPorts(chute: Pick<Chute, 'chutesVersion' | 'tee' | 'jobPorts'>, isJob: boolean): ChutePort[] {
  const builtIn = (hasAttestationPort(chute) ? [8000, 8001, 8002] : [8000, 8001]).map(
    (port): ChutePort => ({ port, proto: 'TCP' }),
  );
  if (!isJob) return builtIn;
  const extra = chute.jobPorts.filter(
    ({ port, proto }) => !builtIn.some((one) => one.port === port && one.proto === proto),
  );
  return [...builtIn, ...extra];
}

/** Each port with the node port at the same place. */
export function mapPorts(ports: readonly ChutePort[], nodePorts: readonly number[]): PortMapping[] {
  return ports.map((port, i) => ({ ...port, nodePort: nodePorts[i] ?? 0 }));
}
