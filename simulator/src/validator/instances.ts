// A miner takes an instance back (protocol.md 6.4). It is always done; what it costs is decided in lifecycle.ts.

import { Refusal, type Route } from './http.ts';
import { endInstance } from './lifecycle.ts';
import type { World } from './world.ts';

export function instanceRoutes(world: World): Route[] {
  return [
    {
      method: 'DELETE',
      path: '/instances/:chute_id/:instance_id',
      signed: 'instances',
      handle({ hotkey, params }) {
        const { chute_id: chuteId, instance_id: instanceId = '' } = params;
        const { instances } = world.state;
        const instance = Object.hasOwn(instances, instanceId) ? instances[instanceId] : undefined;
        if (instance?.minerHotkey !== hotkey || instance.chuteId !== chuteId)
          throw new Refusal(404, 'no such instance');
        endInstance(world, instance, 'miner', 'the miner removed it');
        return { body: { instance_id: instanceId, deleted: true } };
      },
    },
  ];
}
