// Network policies: everything that is not listed is refused, in both directions. Networks are those of kubernetes.md 1.2.4.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { namespaceSelector } from './names.ts';
import { inWave } from './waves.ts';

const { IntOrString } = k8s;

const privateNetworks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'];

export type Port = number | readonly [first: number, last: number];

const portOf = (port: Port, protocol: 'TCP' | 'UDP'): k8s.NetworkPolicyPort =>
  typeof port === 'number'
    ? { protocol, port: IntOrString.fromNumber(port) }
    : { protocol, port: IntOrString.fromNumber(port[0]), endPort: port[1] };

export const tcp = (...ports: Port[]): k8s.NetworkPolicyPort[] => ports.map((port) => portOf(port, 'TCP'));

/** Name servers, wherever they are. */
export const toDns: k8s.NetworkPolicyEgressRule = { ports: [portOf(53, 'UDP'), portOf(53, 'TCP')] };

/** Public addresses only, so never a node, a pod or the API server behind its Service; all protocols and ports when none is given. */
export function toInternet(...ports: Port[]): k8s.NetworkPolicyEgressRule {
  return {
    to: [{ ipBlock: { cidr: '0.0.0.0/0', except: [...privateNetworks] } }],
    ...(ports.length > 0 && { ports: tcp(...ports) }),
  };
}

/** Any address: for what must reach clusters, which may be on a private network. */
export function toAnywhere(...ports: Port[]): k8s.NetworkPolicyEgressRule {
  return { ports: tcp(...ports) };
}

/** Pods with these labels, in the own namespace unless one is named. */
export function pods(labels: Readonly<Record<string, string>>, namespace?: string): k8s.NetworkPolicyPeer {
  return {
    ...(namespace && { namespaceSelector: namespaceSelector(namespace) }),
    podSelector: { matchLabels: labels },
  };
}

export interface PolicyProps {
  name: string;
  namespace: string;
  selector: k8s.LabelSelector;
  ingress?: k8s.NetworkPolicyIngressRule[];
  egress?: k8s.NetworkPolicyEgressRule[];
}

/** A direction without rules is closed. */
export class Policy extends Construct {
  constructor(scope: Construct, id: string, { name, namespace, selector, ingress = [], egress = [] }: PolicyProps) {
    super(scope, id);
    new k8s.KubeNetworkPolicy(this, 'policy', {
      metadata: { name, namespace, annotations: inWave('settings') },
      spec: { podSelector: selector, policyTypes: ['Ingress', 'Egress'], ingress, egress },
    });
  }
}

/** R26: what no other policy allows is refused. */
export function denyAll(scope: Construct, namespace: string): void {
  new Policy(scope, `deny-all-${namespace}`, { name: 'deny-all', namespace, selector: {} });
}
