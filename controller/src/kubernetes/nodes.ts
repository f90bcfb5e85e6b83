// The node of a member: what it is made of, and its labels. A member is one node, named like the member.

import { PatchStrategy, setHeaderOptions, type V1Node } from '@kubernetes/client-node';
import { MinerError } from '../domain/errors.ts';
import type { MemberNode } from '../domain/ports.ts';
import { type Connection, unlessMissing } from './connection.ts';

const factors: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** A Kubernetes quantity as a number: `16Gi` → 17179869184, `500m` → 0.5. Undefined when it is none. */
export function parseQuantity(quantity: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(quantity);
  const factor = match ? factors[match[2] ?? ''] : undefined;
  return factor === undefined ? undefined : Number(match?.[1]) * factor;
}

function capacityOf(node: V1Node, resource: string, member: string, absent?: number): number {
  const text = node.status?.capacity?.[resource];
  if (text === undefined && absent !== undefined) return absent;
  const value = text === undefined ? undefined : parseQuantity(text);
  if (value === undefined) {
    throw new MinerError('E-NODE', `node ${member} has capacity ${resource} "${text ?? 'none'}", which is no quantity`);
  }
  return value;
}

async function fetchNode(connection: Connection): Promise<V1Node> {
  const { core, member } = connection;
  const node = await unlessMissing(connection.call(`read node ${member}`, () => core.readNode({ name: member })));
  if (node) return node;
  const others = await connection.call('list nodes', () => core.listNode());
  const names = others.items.map(({ metadata }) => metadata?.name).join(', ') || 'none';
  throw new MinerError('E-NODE', `cluster ${member} has no node "${member}"; it has ${names}`, { detail: { member } });
}

/** Sizes as whole units, rounded down; disk in GiB, because that is what pods ask for. Throws E-NODE. */
export function describeNode(member: string, node: V1Node): MemberNode {
  return {
    uid: node.metadata?.uid ?? '',
    name: member,
    ready: node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    cordoned: node.spec?.unschedulable ?? false,
    labels: node.metadata?.labels ?? {},
    cpus: Math.floor(capacityOf(node, 'cpu', member)),
    memoryGiB: Math.floor(capacityOf(node, 'memory', member) / 2 ** 30),
    gpus: capacityOf(node, 'nvidia.com/gpu', member, 0),
    diskGb: Math.floor(capacityOf(node, 'ephemeral-storage', member, 100 * 2 ** 30) / 2 ** 30),
  };
}

/** Rejects with E-NODE or E-CLUSTER. */
export async function readNode(connection: Connection): Promise<MemberNode> {
  return describeNode(connection.member, await fetchNode(connection));
}

/** Send only the labels that differ, so that nobody else's label is put back to an old value (kubernetes.md 7). */
export async function labelNode(connection: Connection, labels: Readonly<Record<string, string>>): Promise<void> {
  const { core, member } = connection;
  const present = (await fetchNode(connection)).metadata?.labels ?? {};
  const changed = Object.entries(labels).filter(([key, value]) => present[key] !== value);
  if (changed.length === 0) return;
  const body = { metadata: { labels: Object.fromEntries(changed) } };
  const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
  await connection.call(`label node ${member}`, () => core.patchNode({ name: member, body }, options));
}
