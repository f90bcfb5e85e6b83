// What must hold before a server is added, in the order of protocol.md 4.1.2. On success the server's cluster is a member; everything
// else is as before.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { MemberNode, ValidatorClient } from '../domain/ports.ts';
import { contextNames, fetchKubeconfig } from './agent.ts';
import type { NodeDeps } from './deps.ts';

export interface CheckedNode {
  node: MemberNode;
  validator: ValidatorClient;
}

async function readNode(name: string, members: NodeDeps['members']): Promise<MemberNode> {
  try {
    return await members.node(name);
  } catch (error) {
    if (error instanceof MinerError && error.code === 'E-NODE') throw error;
    throw new MinerError('E-NODE', `node ${name} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function alreadyAdded(message: string): MinerError {
  return new MinerError('E-ALREADY-ADDED', message);
}

/** What its agent gives. Rejects with E-AGENT-UNREACHABLE or E-NAME-CONTEXT. */
async function kubeconfigOf({ name, agentApi }: ServerConfig, { signer, fetch }: NodeDeps): Promise<string> {
  const kubeconfig = await fetchKubeconfig(agentApi, signer, { fetch });
  const contexts = contextNames(kubeconfig);
  if (contexts.includes(name)) return kubeconfig;
  const found = contexts.join(', ') || 'none';
  throw new MinerError('E-NAME-CONTEXT', `the agent's kubeconfig has no context ${name}; it has: ${found}`);
}

/** Make the server's cluster a member. Rejects with E-AGENT-UNREACHABLE, E-NAME-CONTEXT or E-CLUSTER. */
export async function attach(request: ServerConfig, deps: NodeDeps): Promise<void> {
  await deps.members.add(request.name, await kubeconfigOf(request, deps));
}

/** Throws E-USAGE. */
export function validatorOf(hotkey: string, deps: NodeDeps): ValidatorClient {
  const validator = deps.validator(hotkey);
  if (!validator) throw new MinerError('E-USAGE', `validator ${hotkey} is not in miner.yaml`);
  return validator;
}

/**
 * Rejects with E-AGENT-UNREACHABLE, E-NAME-CONTEXT, E-NODE, E-ALREADY-ADDED, E-USAGE (no such validator), E-VALIDATOR or
 * E-VALIDATOR-UNREACHABLE, or E-GPU-REF; then the cluster is no member.
 */
export async function checkNode(request: ServerConfig, deps: NodeDeps): Promise<CheckedNode> {
  const { members, store } = deps;
  const { name } = request;
  const kubeconfig = await kubeconfigOf(request, deps);
  const servers = await store.servers();
  // Before the member is added: replacing that of a running server would cut it off.
  if (servers.some((server) => server.name === name)) throw alreadyAdded(`server ${name} is already in the inventory`);
  try {
    await members.add(name, kubeconfig);
    const node = await readNode(name, members);
    const twin = servers.find(({ serverId }) => serverId === node.uid);
    if (twin) throw alreadyAdded(`node ${name} is already in the inventory as ${twin.name}`);
    const validator = validatorOf(request.validator, deps);
    const supported = await validator.supportedGpus();
    if (!supported.has(request.gpuShortRef)) {
      const list = [...supported].sort().join(', ');
      throw new MinerError('E-GPU-REF', `the validator does not support ${request.gpuShortRef}; it supports: ${list}`);
    }
    return { node, validator };
  } catch (error) {
    await members.remove(name);
    throw error;
  }
}
