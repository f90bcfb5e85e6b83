// Services of the miner's own parts.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { inWave } from './waves.ts';

export interface ServiceProps {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  /** Name of a container port, and the number it is reached at. */
  port: { name: string; number: number; nodePort?: number };
  /** Node ports only reach pods of the same node, and the pod sees the caller's address. */
  internalLocal?: boolean;
  /** Reached while its pod is not ready, too. */
  evenWhenNotReady?: boolean;
}

export class PartService extends Construct {
  constructor(scope: Construct, id: string, props: ServiceProps) {
    super(scope, id);
    const { name, namespace, labels, port, internalLocal, evenWhenNotReady } = props;
    const { nodePort } = port;
    new k8s.KubeService(this, 'service', {
      metadata: { name, namespace, labels, annotations: inWave('settings') },
      spec: {
        type: nodePort === undefined ? 'ClusterIP' : 'NodePort',
        ...(nodePort !== undefined && { externalTrafficPolicy: 'Local' }),
        ...(internalLocal && { internalTrafficPolicy: 'Local' }),
        ...(evenWhenNotReady && { publishNotReadyAddresses: true }),
        selector: labels,
        ports: [
          {
            name: port.name,
            port: port.number,
            targetPort: k8s.IntOrString.fromString(port.name),
            protocol: 'TCP',
            ...(nodePort !== undefined && { nodePort }),
          },
        ],
      },
    });
  }
}
