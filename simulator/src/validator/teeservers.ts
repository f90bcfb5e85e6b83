// Confidential servers (protocol.md 6.3), newer validators only: taken in at once, with all GPUs. The checks of host, records and ownership
// are real; the attestation is believed, since there is no confidential machine to ask. Maintenance windows are not played.

import { z } from 'zod';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import { nodeArgs } from './nodeargs.ts';
import { checkNodes, storeServer } from './nodes.ts';
import type { World } from './world.ts';

const attestationPort = 30_443;

const registration = z.object({
  host: z.string().min(1),
  id: z.string().min(1),
  name: z.string().nullish(),
  gpus: z.array(nodeArgs),
});

function register(world: World, call: Call): Answer {
  const { host, id, name, gpus } = bodyAs(call, registration);
  if (world.state.blacklist.includes(call.hotkey)) throw new Refusal(403, 'the miner is blacklisted');
  checkNodes(world, call.hotkey, gpus);
  for (const gpu of gpus) {
    if (gpu.verification_host !== host) throw new Refusal(400, `GPU ${gpu.uuid} is at another host than ${host}`);
    if (gpu.verification_port !== attestationPort) throw new Refusal(400, `attestation is on port ${attestationPort}`);
  }
  const known = Object.values(world.state.servers).find(({ serverId, ip }) => ip === host || serverId === id);
  if (known) throw new Refusal(409, `a server at ${known.ip} is known already`);
  storeServer(world, { serverId: id, name: name ?? id, minerHotkey: call.hotkey, isTee: true }, gpus);
  for (const { uuid } of gpus) {
    const node = world.state.nodes[uuid];
    if (node) node.verifiedAt = world.clock.now();
  }
  world.changed();
  return { status: 201, body: { message: `server ${name ?? id} is registered` } };
}

export function teeServerRoutes(world: World): Route[] {
  if (world.generation === 'v25') return [];
  return [{ method: 'POST', path: '/servers/', signed: 'hash', handle: (call) => register(world, call) }];
}
