// Jobs: offered to everyone, tried once by each miner, over after their time (protocol.md 2 and 6.4).

import { randomUUID } from 'node:crypto';
import { Refusal, type Route } from './http.ts';
import { endInstance } from './lifecycle.ts';
import { type Chute, findChute, offer } from './market.ts';
import type { JobState } from './records.ts';
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
  const made: JobState = {
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
  world.emit('job_created', { ...offerOf(made, chute), disk_gb: made.diskGb });
  world.changed();
  return jobId;
}

function offerOf(job: JobState, { entry }: Chute): Record<string, unknown> {
  return {
    job_id: job.jobId,
    method: job.method,
    chute_id: job.chuteId,
    image_id: entry.item.image_id,
    gpu_count: job.gpuCount,
    compute_multiplier: job.computeMultiplier,
    exclude: job.exclude,
  };
}

/** One that runs is over; one that does not yet is offered again, in a message without its disk size. */
function releaseJob(world: World, job: JobState): void {
  const instance = job.instanceId === null ? undefined : world.state.instances[job.instanceId];
  const isOpen = job.finishedAt === null && (instance === undefined || instance.activatedAt === null);
  if (isOpen) job.instanceId = null;
  if (instance) endInstance(world, instance, isOpen ? 'failed' : 'miner', 'the miner released the job');
  const chute = findChute(world, job.chuteId);
  if (isOpen && chute) world.emit('job_created', offerOf(job, chute));
  world.changed();
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
        releaseJob(world, job);
        return { body: null };
      },
    },
  ];
}
