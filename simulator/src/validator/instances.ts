// What a miner may take back: instances and jobs (protocol.md 6.4). It is always done; whether it costs is lifecycle.ts.

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
    {
      method: 'DELETE',
      path: '/miner/jobs/:job_id',
      signed: 'miner',
      handle({ hotkey, params }) {
        const { job_id: jobId = '' } = params;
        const job = Object.hasOwn(world.state.jobs, jobId) ? world.state.jobs[jobId] : undefined;
        if (!job?.attempted.includes(hotkey)) throw new Refusal(404, 'no such job of this miner');
        const instance = job.instanceId === null ? undefined : world.state.instances[job.instanceId];
        if (instance) endInstance(world, instance, 'miner', 'the miner released the job');
        return { body: null };
      },
    },
  ];
}
