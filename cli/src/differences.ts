// What the miner and the validator say differently. Pure; states that pass by themselves (a launch, a drain) are no difference.

import { chuteName } from './inventory.ts';
import type { RemoteGpu, RemoteNode, RemoteServer, ServerAnswer } from './shapes.ts';

export interface Difference {
  kind: 'server' | 'gpu' | 'deployment';
  id: string;
  server: string;
  /** What each side says; `-` for nothing. */
  miner: string;
  validator: string;
  /** What to do about it. */
  hint: string;
}

export interface Remote {
  servers: readonly RemoteServer[];
  gpus: readonly RemoteGpu[];
  /** Undefined when the feed gave no answer. */
  nodes: readonly RemoteNode[] | undefined;
}

function serverDifferences(local: readonly ServerAnswer[], { servers }: Remote): Difference[] {
  const known = new Set(servers.map(({ server_id }) => server_id));
  const own = new Set(local.map(({ server_id }) => server_id));
  return [
    ...local
      .filter(({ server_id }) => !known.has(server_id))
      .map(({ server_id, name }) => ({
        kind: 'server' as const,
        id: server_id,
        server: name,
        miner: 'known',
        validator: '-',
        hint: 'delete-node and add-node it again',
      })),
    ...servers
      .filter(({ server_id }) => !own.has(server_id))
      .map(({ server_id, name }) => ({
        kind: 'server' as const,
        id: server_id,
        server: name ?? server_id,
        miner: '-',
        validator: 'known',
        hint: 'delete-remote it',
      })),
  ];
}

interface RemoteView {
  verified: boolean;
  error: string | undefined;
  serverId: string | undefined;
}

function remoteGpus({ servers, gpus, nodes }: Remote): Map<string, RemoteView> {
  const views = new Map<string, RemoteView>();
  const add = (id: string, at: string | null | undefined, error: string | null | undefined, serverId?: string) =>
    views.set(id, { verified: Boolean(at) && !error, error: error ?? undefined, serverId });
  for (const gpu of gpus) add(gpu.gpu_id, gpu.last_verified_at, gpu.verification_error);
  for (const server of servers) {
    for (const gpu of server.gpus) add(gpu.uuid, gpu.verified_at, gpu.verification_error, server.server_id);
  }
  // The feed is the validator's own record of each GPU, so it has the last word.
  for (const node of nodes ?? [])
    add(node.uuid, node.verified_at, node.verification_error, node.server_id ?? undefined);
  return views;
}

function stateText(verified: boolean, error?: string): string {
  if (error) return `error: ${error}`;
  return verified ? 'verified' : 'not verified';
}

function gpuDifferences(local: readonly ServerAnswer[], remote: Remote): Difference[] {
  const views = remoteGpus(remote);
  const names = new Map(remote.servers.map(({ server_id, name }) => [server_id, name ?? server_id]));
  const found: Difference[] = [];
  const seen = new Set<string>();
  for (const server of local) {
    for (const gpu of server.gpus) {
      seen.add(gpu.gpu_id);
      const view = views.get(gpu.gpu_id);
      const own = gpu.verified === true;
      if (view && view.verified === own) continue;
      found.push({
        kind: 'gpu',
        id: gpu.gpu_id,
        server: server.name,
        miner: stateText(own),
        validator: view ? stateText(view.verified, view.error) : '-',
        hint: 'delete-node and add-node the server again',
      });
    }
  }
  for (const [id, { verified, error, serverId }] of views) {
    if (seen.has(id)) continue;
    const server = serverId === undefined ? '-' : (names.get(serverId) ?? serverId);
    const validator = stateText(verified, error);
    found.push({ kind: 'gpu', id, server, miner: '-', validator, hint: 'delete-remote the server' });
  }
  return found;
}

function deploymentDifferences(local: readonly ServerAnswer[], { gpus }: Remote): Difference[] {
  const running = new Map(gpus.filter(({ chute_id }) => chute_id).map((gpu) => [gpu.gpu_id, gpu]));
  const found: Difference[] = [];
  const explained = new Set<string>();
  for (const server of local) {
    for (const deployment of server.deployments) {
      for (const { gpu_id } of deployment.gpus) explained.add(gpu_id);
      // Before its claim the validator cannot know it.
      if (!deployment.instance_id) continue;
      const remote = deployment.gpus.map(({ gpu_id }) => running.get(gpu_id));
      if (remote.every((gpu) => gpu?.chute_id === deployment.chute_id)) continue;
      const other = remote.find((gpu) => gpu !== undefined && gpu.chute_id !== deployment.chute_id);
      found.push({
        kind: 'deployment',
        id: deployment.deployment_id,
        server: server.name,
        miner: chuteName(deployment),
        validator: other ? (other.chute_name ?? other.chute_id ?? '-') : '-',
        hint: 'the miner removes what the validator lost; else purge-deployment -d',
      });
    }
    // A GPU that is still held without a deployment is draining: its instance may be known a little longer.
    for (const gpu of server.gpus) if (gpu.deployment_id) explained.add(gpu.gpu_id);
    for (const { gpu_id } of server.gpus) {
      const gpu = running.get(gpu_id);
      if (!gpu || explained.has(gpu_id)) continue;
      const validator = gpu.chute_name ?? gpu.chute_id ?? '-';
      const hint = 'the miner deletes instances it does not know; look again in a minute';
      found.push({ kind: 'deployment', id: gpu_id, server: server.name, miner: '-', validator, hint });
    }
  }
  return found;
}

/** Sorted as servers, GPUs, deployments; within each as the miner's inventory is. */
export function differences(local: readonly ServerAnswer[], remote: Remote): Difference[] {
  return [
    ...serverDifferences(local, remote),
    ...gpuDifferences(local, remote),
    ...deploymentDifferences(local, remote),
  ];
}
