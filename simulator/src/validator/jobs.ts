// Jobs: offered to everyone, tried once by each miner, over after their time (protocol.md 2 and 6.4).

import { randomUUID } from 'node:crypto';
import { Refusal, type Route } from './http.ts';
import { endInstance } from './lifecycle.ts';
import { type Chute, offer } from './market.ts';
import type { World } from './world.ts';

export interface JobOffer {
  chuteId: string;
  /** Default: the chute's first job. */
  method?: string;
  /** Default: what the chute pays now. */
  computeMultiplier?: number;
  durationSeconds?: number;
  exclude?: string[];
}

/** Offer a job; returns its id. Throws a RangeError for a chute without jobs. */
export function createJob(world: World, chute: Chute, job: JobOffer): string {
  const { item } = chute.entry;
  const method = item.jobs.find(({ name }) => name === job.method) ?? item.jobs[0];
  if (!method) throw new RangeError(`chute ${job.chuteId} has no jobs`);
  const jobId = randomUUID();
  const made = {
    jobId,
    chuteId: job.chuteId,
    method: method.name,
    gpuCount: item.node_selector.gpu_count,
    computeMultiplier: job.computeMultiplier ?? offer(world, chute),
    exclude: job.exclude ?? [],
    diskGb: method.disk_gb,
    durationSeconds: job.durationSeconds ?? method.timeout,
    createdAt: world.clock.now(),
    attempted: [],
    instanceId: null,
    finishedAt: null,
  };
  world.state.jobs[jobId] = made;
  world.emit('job_created', {
    job_id: jobId,
    method: made.method,
    chute_id: made.chuteId,
    image_id: item.image_id,
    gpu_count: made.gpuCount,
    compute_multiplier: made.computeMultiplier,
    exclude: made.exclude,
    disk_gb: made.diskGb,
  });
  world.changed();
  return jobId;
}

export function jobRoutes(world: World): Route[] {
  return [
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
