// What must hold before a server is added, in the order of protocol.md 4.1.2. On success the server's cluster is a member; everything
// else is as before.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { MemberNode, ValidatorClient } from '../domain/ports.ts';
import { contextNames, fetchKubeconfig } from './agent.ts';
import type { NodeDeps } from './deps.ts';
import type { UndoStack } from './undo.ts';

export interface CheckedNode {
  request: ServerConfig;
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

/**
 * Rejects with E-AGENT-UNREACHABLE, E-NAME-CONTEXT, E-NODE, E-ALREADY-ADDED, E-USAGE (no such validator), E-VALIDATOR or
 * E-VALIDATOR-UNREACHABLE, or E-GPU-REF; what was done until then is on `undo`.
 */
export async function checkNode(request: ServerConfig, deps: NodeDeps, undo: UndoStack): Promise<CheckedNode> {
  const { signer, members, store, fetch } = deps;
  const { name } = request;
  const kubeconfig = await fetchKubeconfig(request.agentApi, signer, { fetch });
  const contexts = contextNames(kubeconfig);
  if (!contexts.includes(name)) {
    const found = contexts.join(', ') || 'none';
    throw new MinerError('E-NAME-CONTEXT', `the agent's kubeconfig has no context ${name}; it has: ${found}`);
  }
  const servers = await store.servers();
  // Before the member is added: replacing that of a running server would cut it off.
  if (servers.some((server) => server.name === name)) throw alreadyAdded(`server ${name} is already in the inventory`);
  undo.push('forget the cluster', () => members.remove(name));
  await members.add(name, kubeconfig);
  const node = await readNode(name, members);
  const twin = servers.find(({ serverId }) => serverId === node.uid);
  if (twin) throw alreadyAdded(`node ${name} is already in the inventory as ${twin.name}`);
  if (node.labels['chutes/tee'] === 'true') {
    throw new MinerError('E-NODE', `node ${name} is a TEE node; this miner verifies GPUs with GraVal`);
  }
  const validator = deps.validator(request.validator);
  if (!validator) throw new MinerError('E-USAGE', `validator ${request.validator} is not in miner.yaml`);
  const supported = await validator.supportedGpus();
  if (!supported.has(request.gpuShortRef)) {
    const known = [...supported].sort().join(', ');
    throw new MinerError('E-GPU-REF', `the validator does not support ${request.gpuShortRef}; it supports: ${known}`);
  }
  return { request, node, validator };
}
