// What a command did: how the miner, its git repository and the validator look afterwards.

import { execFileSync } from 'node:child_process';
import type { SimulatedServer } from '../cluster/cluster.ts';
import { itemsOf, send } from '../validator/testing.ts';
import type { UpstreamWorld } from './world.ts';

export interface DeploymentRow {
  deployment_id: string;
  instance_id: string | null;
  active: boolean;
}

export interface ServerRow {
  name: string;
  locked: boolean;
  hourly_cost: number;
  gpus: { gpu_id: string; verified: boolean }[];
  deployments: DeploymentRow[];
}

export async function inventory({ api }: UpstreamWorld): Promise<ServerRow[]> {
  return (await api.get('/servers/')) as ServerRow[];
}

export async function rowOf(world: UpstreamWorld, name: string): Promise<ServerRow | undefined> {
  return (await inventory(world)).find((row) => row.name === name);
}

/** Output of a git command in the cluster repository. */
export function git({ folder }: UpstreamWorld, ...args: string[]): string {
  return execFileSync('git', ['-C', folder.repository, ...args], { encoding: 'utf8' });
}

/** Servers of branch `main`, without the template's example. */
export function configured(world: UpstreamWorld): string[] {
  const paths = git(world, 'ls-tree', '-r', '--name-only', 'main', 'servers/').trim().split('\n');
  const names = paths.map((path) => path.slice('servers/'.length, -'.yaml'.length));
  return names.filter((name) => name.startsWith('gpu-')).sort();
}

export async function remoteServers(world: UpstreamWorld): Promise<{ name: string; gpus: { uuid: string }[] }[]> {
  const answer = await send(world.validator.url, 'GET', '/miner/servers/', { tail: 'miner', key: world.miner });
  return answer.json.servers;
}

/** Own instances as the validator lists them. */
export async function remoteInstances(world: UpstreamWorld): Promise<Record<string, unknown>[]> {
  const feed = await send(world.validator.url, 'GET', '/miner/instances/', { tail: 'miner', key: world.miner });
  return itemsOf(feed);
}

/** Servers in the inventory, where adding them is not what is tested. */
export async function addServers(world: UpstreamWorld, servers: readonly SimulatedServer[]): Promise<void> {
  const adding = servers.map(({ name, gpuShortRef, ip, hourlyCost }) => {
    const node = { name, validator: world.validator.hotkey, hourly_cost: hourlyCost, gpu_short_ref: gpuShortRef };
    return world.api.addNode({ ...node, agent_api: `http://${ip}:32000` }, () => undefined);
  });
  await Promise.all(adding);
}
