// Node ports are ours to give out: they are written into the Service and the pod in the same commit (kubernetes.md R12).

export const nodePortRange = { first: 30000, last: 32767 } as const;

/** Held by Grafana, member Prometheus, TEE attestation, the registry proxy, the agent or miner API, and the monitor (kubernetes.md 0.3). */
export const reservedNodePorts: ReadonlySet<number> = new Set([30080, 30090, 30443, 30500, 32000, 32001]);

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
