// The NodePort Service of one chute deployment (kubernetes.md 3.1). Its name and its existence before the pod are part of what the
// validator checks (R5), its node ports are ours (R12).

import type { PortMapping } from '@miner/controller/domain/deployment.ts';
import {
  isAllocatableNodePort,
  nodePortRange,
  podPorts,
  reservedNodePortsText,
} from '@miner/controller/domain/nodeport.ts';
import { k8s } from 'cdk8s-plus-28';
import type { JsonObject } from '../yaml.ts';
import {
  type ChuteProps,
  chuteAnnotations,
  chuteLabels,
  demandConsistent,
  namespace,
  serviceName,
} from './chute-props.ts';
import { demand, demandLabels } from './rules.ts';

const keyOf = (port: { port: number; proto: string }): string => `${port.proto}:${port.port}`;

function demandPorts(props: ChuteProps): void {
  const { spec, chute } = props;
  const wanted = podPorts(chute, spec.jobId !== undefined)
    .map(keyOf)
    .join(' ');
  const found = spec.ports.map(keyOf).join(' ');
  demand(found === wanted, 'R10', `ports of the deployment are ${found}`, `the chute declares ${wanted}`);
  const nodePorts = new Set<number>();
  for (const { port, nodePort } of spec.ports) {
    demand(
      port === 2202 || (Number.isInteger(port) && port >= 8000 && port <= 65535),
      'R10',
      `port is ${port}`,
      'a port of a chute is 2202 or 8000-65535',
    );
    const allowed = `a node port is ${nodePortRange.first}-${nodePortRange.last} without ${reservedNodePortsText}`;
    demand(isAllocatableNodePort(nodePort), 'R12', `node port of ${port} is ${nodePort}`, allowed);
    demand(!nodePorts.has(nodePort), 'R12', `node port ${nodePort} is used twice`, 'each leads to one port');
    nodePorts.add(nodePort);
  }
}

/** `chute-<port>`; a number that is there as TCP and as UDP gets the protocol into the later name, because names are unique. */
function portName(port: PortMapping, index: number, all: readonly PortMapping[]): string {
  const first = all.findIndex((other) => other.port === port.port);
  return first === index ? `chute-${port.port}` : `chute-${port.port}-${port.proto.toLowerCase()}`;
}

/** Throws E-GUARD when the ports break R10, R12 or R27, or when spec, chute and server disagree. */
export function chuteService(props: ChuteProps): JsonObject {
  demandConsistent(props);
  demandPorts(props);
  const { spec } = props;
  const labels = chuteLabels(props);
  demandLabels(labels);
  return k8s.KubeService.manifest({
    metadata: { name: serviceName(spec.deploymentId), namespace, labels, annotations: chuteAnnotations(props) },
    spec: {
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
      selector: { 'chutes/deployment-id': spec.deploymentId },
      ports: spec.ports.map((port, index, all) => ({
        name: portName(port, index, all),
        port: port.port,
        targetPort: k8s.IntOrString.fromNumber(port.port),
        protocol: port.proto,
        nodePort: port.nodePort,
      })),
    },
  });
}
