// GPUs of the miners (protocol.md 6.3): registration, status of the verification, removal; for newer validators also by server.

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { newSeed } from '../refc1-wire.ts';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import { endInstance } from './lifecycle.ts';
import { hostError, type NodeArgs, nodeArgs, specError } from './nodeargs.ts';
import type { NodeState, ServerState } from './records.ts';
import { startVerification } from './verification.ts';
import { iso, isoOrNull, type World } from './world.ts';

const hoppingMs = 86_400_000;
const registration = z.object({
  server_id: z.string().min(1),
  server_name: z.string().nullish(),
  nodes: z.array(nodeArgs),
});

/** A node as feeds and replies show it; the seed is a bare 63-bit integer. */
export function nodeItem(node: NodeState): Record<string, unknown> {
  const { minerHotkey, serverId, createdAt, verifiedAt, verificationError, seed, ...args } = node;
  return {
    ...args,
    seed: BigInt(seed),
    miner_hotkey: minerHotkey,
    server_id: serverId,
    created_at: iso(createdAt),
    verified_at: isoOrNull(verifiedAt),
    verification_error: verificationError,
  };
}

function distinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

/** Throws what the validator refuses of these records. */
export function checkNodes(world: World, hotkey: string, nodes: readonly NodeArgs[]): void {
  if (nodes.length < 1 || nodes.length > 10) throw new Refusal(400, `${nodes.length} GPUs; 1 to 10 are allowed`);
  if (!distinct(nodes.map(({ uuid }) => uuid))) throw new Refusal(400, 'a GPU is listed twice');
  if (!distinct(nodes.map(({ device_index }) => device_index))) throw new Refusal(400, 'a device_index is used twice');
  const hosts = new Set(nodes.map((node) => `${node.verification_host}:${node.verification_port}`));
  if (hosts.size !== 1) throw new Refusal(400, 'all GPUs of a server must have one verification host and port');
  for (const node of nodes) {
    const error = specError(node) ?? hostError(node.verification_host, world.allowPrivateHosts);
    if (error) throw new Refusal(400, error);
  }
  for (const { uuid } of nodes) {
    if (Object.hasOwn(world.state.nodes, uuid)) throw new Refusal(409, `GPU ${uuid} is known already`);
    const owner = Object.hasOwn(world.state.gpuOwners, uuid) ? world.state.gpuOwners[uuid] : undefined;
    if (owner && owner.minerHotkey !== hotkey && world.clock.now() - owner.at < hoppingMs) {
      throw new Refusal(429, `GPU ${uuid} belonged to another miner within 24 h`);
    }
  }
}

/** Take in a server with GPUs that passed all checks; none is verified yet. */
export function storeServer(
  world: World,
  server: Pick<ServerState, 'serverId' | 'name' | 'minerHotkey' | 'isTee'>,
  args: readonly NodeArgs[],
): NodeState[] {
  const { serverId, minerHotkey } = server;
  const now = world.clock.now();
  const seed = String(newSeed());
  const fresh = { seed, minerHotkey, serverId, createdAt: now, verifiedAt: null, verificationError: null };
  const nodes = args.map((node) => ({ ...node, ...fresh }));
  for (const node of nodes) {
    world.state.nodes[node.uuid] = node;
    world.state.gpuOwners[node.uuid] = { minerHotkey, at: now };
  }
  const ip = args[0]?.verification_host ?? '';
  world.state.servers[serverId] = { ...server, ip, createdAt: now, updatedAt: now };
  return nodes;
}

function register(world: World, call: Call): Answer {
  const { server_id: serverId, server_name: name, nodes: args } = bodyAs(call, registration);
  const { hotkey } = call;
  if (world.state.blacklist.includes(hotkey)) throw new Refusal(403, 'the miner is blacklisted');
  checkNodes(world, hotkey, args);
  const nodes = storeServer(world, { serverId, name: name ?? serverId, minerHotkey: hotkey, isTee: false }, args);
  const taskId = `${hotkey}::${randomUUID()}`;
  const nodeIds = nodes.map(({ uuid }) => uuid);
  world.state.tasks[taskId] = { taskId, minerHotkey: hotkey, nodeIds, status: 'pending', detail: null };
  world.changed();
  startVerification(world, taskId);
  return { status: 202, body: { nodes: nodes.map(nodeItem), task_id: taskId } };
}

function verificationStatus(world: World, call: Call): Answer {
  const { task_id: taskId = '' } = call.query;
  if (!taskId.startsWith(`${call.hotkey}::`)) throw new Refusal(401, 'the task belongs to another miner');
  const task = Object.hasOwn(world.state.tasks, taskId) ? world.state.tasks[taskId] : undefined;
  if (!task) return { body: { status: 'error', detail: 'no such task' } };
  const { status, detail } = task;
  return { body: detail === null ? { status } : { status, error: detail, detail } };
}

/** Remove GPUs and, with them, the instances that run on them. */
function removeNodes(world: World, nodes: readonly NodeState[], why: string): void {
  const ids = new Set(nodes.map(({ uuid }) => uuid));
  for (const instance of Object.values(world.state.instances)) {
    if (instance.nodeIds.some((id) => ids.has(id))) endInstance(world, instance, 'lost', why);
  }
  for (const id of ids) delete world.state.nodes[id];
  const used = new Set(Object.values(world.state.nodes).map(({ serverId }) => serverId));
  for (const { serverId } of nodes) if (!used.has(serverId)) delete world.state.servers[serverId];
  world.changed();
}

function removeNode(world: World, call: Call): Answer {
  const { uuid = '' } = call.params;
  const node = Object.hasOwn(world.state.nodes, uuid) ? world.state.nodes[uuid] : undefined;
  if (node?.minerHotkey !== call.hotkey) throw new Refusal(404, 'no such GPU of this miner');
  removeNodes(world, [node], 'the miner removed its GPU');
  return { body: { node_id: uuid, deleted: true } };
}

export function ownServers(world: World, hotkey: string): ServerState[] {
  return Object.values(world.state.servers).filter(({ minerHotkey }) => minerHotkey === hotkey);
}

export function nodesOf(world: World, serverId: string): NodeState[] {
  return Object.values(world.state.nodes).filter((node) => node.serverId === serverId);
}

function findServer(world: World, call: Call): ServerState {
  const { server = '' } = call.params;
  const found = ownServers(world, call.hotkey).find(({ serverId, name }) => serverId === server || name === server);
  if (!found) throw new Refusal(404, 'no such server of this miner');
  return found;
}

function removeServer(world: World, call: Call): Answer {
  const server = findServer(world, call);
  removeNodes(world, nodesOf(world, server.serverId), 'the miner removed its server');
  delete world.state.servers[server.serverId];
  return { body: { name: server.name, message: 'deleted' } };
}

function renameServer(world: World, call: Call): Answer {
  const server = findServer(world, call);
  const { server_name: name } = call.query;
  if (!name) throw new Refusal(422, 'server_name is missing');
  Object.assign(server, { name, updatedAt: world.clock.now() });
  world.changed();
  const { ip, createdAt, updatedAt } = server;
  return { body: { name, ip, created_at: iso(createdAt), updated_at: iso(updatedAt) } };
}

export function nodeRoutes(world: World): Route[] {
  const routes: Route[] = [
    { method: 'POST', path: '/nodes/', signed: 'hash', handle: (call) => register(world, call) },
    {
      method: 'GET',
      path: '/nodes/verification_status',
      signed: 'graval',
      handle: (call) => verificationStatus(world, call),
    },
    { method: 'DELETE', path: '/nodes/:uuid', signed: 'nodes', handle: (call) => removeNode(world, call) },
  ];
  if (world.generation === 'v25') return routes;
  return [
    ...routes,
    { method: 'DELETE', path: '/servers/:server', signed: 'tee', handle: (call) => removeServer(world, call) },
    { method: 'PATCH', path: '/servers/:server', signed: 'tee', handle: (call) => renameServer(world, call) },
  ];
}
