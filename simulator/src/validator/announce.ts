// Instances of libraries before 0.3.0: the miner announces them and makes them active itself (protocol.md 6.4). Validators since August
// 2025 have neither route; this one has them when asked for.

import { connect } from 'node:net';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { z } from 'zod';
import { claimedNodes, newInstance } from './claim.ts';
import { instanceItem } from './feeds.ts';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import { activate, instanceData } from './lifecycle.ts';
import { findChute, hasRoom } from './market.ts';
import { hostError } from './nodeargs.ts';
import type { InstanceState } from './records.ts';
import type { World } from './world.ts';

const probeTimeoutMs = 2000;
/** Simulated time between two tries to make one instance active. */
const retryMs = 2000;

const announcement = z.object({
  node_ids: z.array(z.string()).min(1),
  host: z.string(),
  port: z.int().min(80).max(65535),
});

function announce(world: World, call: Call): Answer {
  const body = bodyAs(call, announcement);
  const { hotkey } = call;
  const chute = findChute(world, call.params.chute_id ?? '');
  if (!chute) throw new Refusal(404, 'no such chute');
  const { item } = chute.entry;
  if (needsLaunchToken({ chutesVersion: item.chutes_version })) {
    throw new Refusal(400, `library ${item.chutes_version} claims its instances with a launch token`);
  }
  if (world.state.blacklist.includes(hotkey)) throw new Refusal(403, 'the miner is blacklisted');
  const hostRefusal = hostError(body.host, world.allowPrivateHosts);
  if (hostRefusal) throw new Refusal(400, hostRefusal);
  if (!hasRoom(world, chute)) throw new Refusal(423, 'the chute is at its target');
  const nodes = claimedNodes(world, hotkey, chute, { ids: body.node_ids, host: body.host });
  const [first] = nodes;
  if (!first) throw new Refusal(400, 'no GPU is named');
  const instance = newInstance(world, {
    configId: null,
    chuteId: chute.state.chuteId,
    version: chute.state.version,
    minerHotkey: hotkey,
    host: body.host,
    portMappings: [{ internal_port: 8000, external_port: body.port, proto: 'tcp' }],
    nodes,
    chosen: first,
    jobId: null,
    seed: first.seed,
  });
  return { status: 202, body: instanceItem(world, instance) };
}

/** Undefined when something accepts connections there. */
function unreachable({ host, portMappings }: InstanceState): Promise<string | undefined> {
  const port = portMappings[0]?.external_port ?? 0;
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: probeTimeoutMs });
    function end(problem: string | undefined): void {
      socket.destroy();
      resolve(problem);
    }
    socket.on('connect', () => end(undefined));
    socket.on('timeout', () => end(`${host}:${port} does not answer`));
    socket.on('error', () => end(`${host}:${port} cannot be reached`));
  });
}

export function announceRoutes(world: World): Route[] {
  if (!world.announcements) return [];
  const tried = new Map<string, number>();

  function ownInstance({ params, hotkey }: Call): InstanceState {
    const { chute_id: chuteId, instance_id: instanceId = '' } = params;
    const { instances } = world.state;
    const instance = Object.hasOwn(instances, instanceId) ? instances[instanceId] : undefined;
    if (instance?.minerHotkey !== hotkey || instance.chuteId !== chuteId || instance.configId !== null)
      throw new Refusal(404, 'no such instance');
    return instance;
  }

  async function makeActive(call: Call): Promise<Answer> {
    bodyAs(call, z.object({ active: z.literal(true) }));
    const instance = ownInstance(call);
    const last = tried.get(instance.instanceId);
    if (last !== undefined && world.clock.now() - last < retryMs) throw new Refusal(429, 'asked again too soon');
    tried.set(instance.instanceId, world.clock.now());
    if (instance.activatedAt !== null) return { body: instanceItem(world, instance) };
    instance.verificationError = (await unreachable(instance)) ?? null;
    if (instance.verificationError === null && ownInstance(call).activatedAt === null) {
      instance.verifiedAt = world.clock.now();
      const { instance_id, miner_hotkey } = instanceData(world, instance);
      world.emit('instance_verified', { instance_id, miner_hotkey }, [instance.minerHotkey]);
      const refusal = activate(world, instance);
      if (refusal !== undefined) throw new Refusal(423, refusal);
    }
    world.changed();
    return { body: instanceItem(world, instance) };
  }

  return [
    { method: 'POST', path: '/instances/:chute_id/', signed: 'hash', handle: (call) => announce(world, call) },
    { method: 'PATCH', path: '/instances/:chute_id/:instance_id', signed: 'hash', handle: makeActive },
  ];
}
