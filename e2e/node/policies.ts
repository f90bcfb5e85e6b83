// Enforces NetworkPolicies on a node, as the network controller of a real cluster does: follows pods, namespaces and policies, and keeps one
// nftables table. Pods are told apart by their addresses; the node's own traffic to its pods is free.

import type { Kube, KubeObject } from '../cluster/kube.ts';

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[];
}

interface Peer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}

interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: { protocol?: string; port?: number | string; endPort?: number }[];
}

interface PolicySpec {
  podSelector: Selector;
  policyTypes: string[];
  ingress?: Rule[];
  egress?: Rule[];
}

export interface Known {
  pods: readonly KubeObject[];
  namespaces: readonly KubeObject[];
  policies: readonly KubeObject[];
}

type Direction = 'Ingress' | 'Egress';

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string> = {}): boolean {
  const holds = ({ key, operator, values = [] }: NonNullable<Selector['matchExpressions']>[number]) => {
    const value = labels[key];
    const isIn = value !== undefined && values.includes(value);
    return { In: isIn, NotIn: !isIn, Exists: value !== undefined, DoesNotExist: value === undefined }[operator];
  };
  const same = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return same && matchExpressions.every(holds);
}

function addressOf({ spec, status }: KubeObject): string | undefined {
  const { hostNetwork } = spec as { hostNetwork?: boolean };
  const { podIP, phase } = (status ?? {}) as { podIP?: string; phase?: string };
  return hostNetwork || phase === 'Succeeded' || phase === 'Failed' ? undefined : podIP;
}

function peerMatch(side: 'saddr' | 'daddr', peer: Peer, own: string, { pods, namespaces }: Known): string | undefined {
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    return `ip ${side} ${cidr}${except.length > 0 ? ` ip ${side} != { ${except.join(', ')} }` : ''}`;
  }
  const inNamespace = (name: string) => {
    if (!peer.namespaceSelector) return name === own;
    return selects(peer.namespaceSelector, namespaces.find(({ metadata }) => metadata.name === name)?.metadata.labels);
  };
  const found = pods
    .filter(({ metadata }) => inNamespace(metadata.namespace ?? '') && selects(peer.podSelector ?? {}, metadata.labels))
    .flatMap((pod) => addressOf(pod) ?? []);
  return found.length === 0 ? undefined : `ip ${side} { ${found.join(', ')} }`;
}

function portMatch({ protocol = 'TCP', port, endPort }: NonNullable<Rule['ports']>[number]): string {
  const name = protocol.toLowerCase();
  if (port === undefined) return `meta l4proto ${name}`;
  if (typeof port === 'string') throw new Error(`port ${port} has a name, which is not followed here`);
  return `${name} dport ${port}${endPort === undefined ? '' : `-${endPort}`}`;
}

/** What goes on: every match of a peer and a port. Nothing for a direction that nobody isolates. */
function allowed(pod: KubeObject, direction: Direction, known: Known): string[] | undefined {
  const { namespace = '', labels } = pod.metadata;
  const specs = known.policies
    .filter(({ metadata }) => metadata.namespace === namespace)
    .map(({ spec }) => spec as PolicySpec)
    .filter(({ podSelector, policyTypes }) => policyTypes.includes(direction) && selects(podSelector, labels));
  if (specs.length === 0) return undefined;
  const side = direction === 'Ingress' ? 'saddr' : 'daddr';
  const rules = specs.flatMap(({ ingress = [], egress = [] }) => (direction === 'Ingress' ? ingress : egress));
  return rules.flatMap(({ from, to, ports = [] }) => {
    const peers = (direction === 'Ingress' ? from : to) ?? [];
    const matches = peers.length === 0 ? [''] : peers.flatMap((peer) => peerMatch(side, peer, namespace, known) ?? []);
    const where = ports.length === 0 ? [''] : ports.map(portMatch);
    return matches.flatMap((peer) => where.map((port) => `${peer} ${port} return`.trim()));
  });
}

/** What `nft -f -` reads; it replaces the table as a whole. */
export function rulesOf(known: Known): string {
  const chains: string[] = [];
  const jumps = { forward: [] as string[], input: [] as string[] };
  for (const pod of known.pods) {
    const address = addressOf(pod);
    if (address === undefined) continue;
    for (const direction of ['Egress', 'Ingress'] as const) {
      const rules = allowed(pod, direction, known);
      if (!rules) continue;
      const chain = `${direction.toLowerCase()}-${address}`;
      chains.push(`chain ${chain} {\n${[...rules, 'drop'].map((rule) => `    ${rule}\n`).join('')}  }`);
      const jump = `ip ${direction === 'Egress' ? 'saddr' : 'daddr'} ${address} jump ${chain}`;
      jumps.forward.push(jump);
      // To the node itself, such as its API server.
      if (direction === 'Egress') jumps.input.push(jump);
    }
  }
  const hooks = Object.entries(jumps).map(
    ([hook, lines]) =>
      `chain ${hook} {\n    type filter hook ${hook} priority 10; policy accept;\n    ct state established,related accept\n${lines.map((line) => `    ${line}\n`).join('')}  }`,
  );
  const table = [...chains, ...hooks].map((one) => `  ${one}\n`).join('');
  return `table ip netpol\ndelete table ip netpol\ntable ip netpol {\n${table}}\n`;
}

export interface Enforcer {
  /** Resolves when what the API says now is in force, and keeps it so. */
  start(): Promise<void>;
  /** Everything is let through from now on. */
  stop(): Promise<void>;
}

/** `load` takes what `rulesOf` makes. Nothing is kept apart before `start`. */
export function policyEnforcer(kube: Kube, load: (rules: string) => Promise<void>): Enforcer {
  const [policies, pods] = ['networking.k8s.io/v1/networkpolicies', 'v1/pods'];
  const stops: (() => void)[] = [];
  let loaded = '';
  let work = Promise.resolve();

  async function settle(): Promise<void> {
    const known = {
      pods: await kube.list(pods),
      namespaces: await kube.list('v1/namespaces'),
      policies: await kube.list(policies),
    };
    const rules = rulesOf(known);
    // Nobody asks for it any more.
    if (rules === loaded || stops.length === 0) return;
    await load(rules);
    loaded = rules;
  }

  const again = () => {
    work = work.then(settle).catch((error: unknown) => console.error(error));
  };
  return {
    async start() {
      if (stops.length === 0) for (const one of [policies, pods]) stops.push(kube.watch(one, undefined, again));
      await work;
      await settle();
    },
    async stop() {
      for (const stop of stops.splice(0)) stop();
      await work;
      loaded = '';
      await load('table ip netpol\ndelete table ip netpol\n');
    },
  };
}
